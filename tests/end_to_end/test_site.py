"""The site's sources: links brought to where their targets are, and dead ones found; citations."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import resnet_repro
from tests.conftest import REPO


@pytest.fixture(name="site_maker")
def _site_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, its root a small repository."""
    loader = importlib.machinery.SourceFileLoader("site_maker", str(REPO / ".ci" / "docs"))
    spec = importlib.util.spec_from_loader("site_maker", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    for name in ("docs", "figures", "records/run", "resnet_repro/room"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "README.md").write_text("[a](docs/a.md#part) ![f](figures/f.svg) [h](http://b/c)")
    (tmp_path / "docs" / "a.md").write_text("[r](../records/run) [b](../README.md) [s](#part)")
    (tmp_path / "docs" / "site.css").write_text("")
    (tmp_path / "figures" / "f.svg").write_text("<svg/>")
    (tmp_path / "resnet_repro" / "__init__.py").write_text("")
    (tmp_path / "resnet_repro" / "__main__.py").write_text("")
    (tmp_path / "resnet_repro" / "room" / "__init__.py").write_text("")
    (tmp_path / "resnet_repro" / "room" / "module.py").write_text("")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.mark.parametrize(
    ("repository", "to_records"),
    [("", "../../../records/run"), ("https://h/o/n", "https://h/o/n/tree/main/records/run")],
)
def test_links_to_pages_stay_and_others_lead_to_the_repository(
    tmp_path: Path, site_maker: ModuleType, repository: str, to_records: str
) -> None:
    source, site = tmp_path / "build" / "docs", tmp_path / "build" / "site"
    site_maker.assemble(source, site, repository)
    assert (source / "README.md").read_text() == (tmp_path / "README.md").read_text()
    assert (source / "figures" / "f.svg").is_file()
    told = (source / "docs" / "a.md").read_text()
    assert told == f"[r]({to_records}) [b](../README.md) [s](#part)"
    if not repository:
        assert (site / "docs" / to_records).resolve() == tmp_path / "records" / "run"


def test_the_reference_has_every_module_but_the_command(
    tmp_path: Path, site_maker: ModuleType
) -> None:
    site_maker.reference(tmp_path)
    pages = {page.stem: page.read_text() for page in (tmp_path / "reference").iterdir()}
    assert pages.keys() == {"index", "room", "top"}
    assert re.findall("::: (.*)", pages["room"]) == [
        "resnet_repro.room",
        "resnet_repro.room.module",
    ]
    assert re.findall("::: (.*)", pages["top"]) == ["resnet_repro"]


@pytest.mark.parametrize(
    ("address", "dead"),
    [
        ("b.html", False),
        ("b.html#here", False),
        ("b.html#gone", True),
        ("gone.html", True),
        ("#there", False),
        ("#gone", True),
        ("folder", False),
        ("../gone", True),
        ("https://elsewhere/gone", False),
        ("mailto:a@b", False),
    ],
)
def test_dead_links_are_found(
    tmp_path: Path, site_maker: ModuleType, address: str, dead: bool
) -> None:
    site = tmp_path / "site"
    (site / "folder").mkdir(parents=True)
    (site / "a.html").write_text(f'<p id="there"><a href="{address}">x</a>')
    (site / "b.html").write_text('<h2 id="here">')
    assert site_maker.broken(site) == ([f"a.html: {address}"] if dead else [])


def test_citations_name_one_title_and_this_version() -> None:
    told = (REPO / "CITATION.cff").read_text()
    title, version = (
        re.search(f'^{key}: "?([^"\n]*)', told, re.MULTILINE) for key in ("title", "version")
    )
    assert title is not None
    assert version is not None
    assert version[1] == resnet_repro.__version__
    for readme in ("README.md", "README.zh-CN.md"):
        text = (REPO / readme).read_text()
        assert f"title  = {{{title[1]}}}" in text
        assert f"Version {version[1]}" in text
