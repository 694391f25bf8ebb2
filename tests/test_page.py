"""The HTML page: one file, every link leads somewhere, every run is there."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from html.parser import HTMLParser
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.records import store
from resnet_repro.report.page import run_anchor
from resnet_repro.report.write import update_between_markers, write_report
from tests.report_records import Fake, write


@dataclass
class Found(HTMLParser):
    """What a page links to, embeds and names."""

    hrefs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    scripts: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script"
        for name, into in (("href", self.hrefs), ("src", self.sources), ("id", self.anchors)):
            if values.get(name):
                into.append(str(values[name]))


NAMES = ["fig1", "table6"]

FAKES = (
    Fake("resnet20", 8.7),
    Fake("resnet20", 8.9, seed=1),
    Fake("plain20", 9.7, protocol="short"),
)


def report(folder: Path, names: list[str] = NAMES, readme: Path | None = None) -> Path:
    """Write a report on the records in `folder`; returns its page."""
    places = {"page": folder / "report.html", "readme": readme}
    write_report([folder / "recorded"], folder / "figures", folder / "tables", names, **places)
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write(folder / "recorded", *FAKES)
    return report(folder)


@pytest.fixture(scope="module")
def found(page: Path) -> Found:
    parser = Found()
    parser.feed(page.read_text())
    return parser


def test_the_page_holds_all_it_shows(found: Found) -> None:
    assert found.sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in found.sources)
    assert found.scripts == 0
    assert not any(href.startswith(("http", "//", "/")) for href in found.hrefs)


def test_every_link_leads_somewhere(page: Path, found: Found) -> None:
    assert len(found.anchors) == len(set(found.anchors))
    inner = [href[1:] for href in found.hrefs if href.startswith("#")]
    outer = [href for href in found.hrefs if not href.startswith("#")]
    assert set(inner) <= set(found.anchors)
    assert outer
    assert all((page.parent / href).is_file() for href in outer)


def test_every_run_has_its_section_and_its_numbers_lead_to_its_record(
    page: Path, found: Found
) -> None:
    text = page.read_text()
    assert "verdict" in text
    for record in store.read_records(page.parent / "recorded"):
        assert run_anchor(record.run) in found.anchors
        assert f"#{run_anchor(record.run)}" in found.hrefs
        relative = record.folder.relative_to(page.parent).as_posix()
        for name in ("spec.json", "execution.json", "result.json"):
            assert f"{relative}/{name}" in found.hrefs
        lines = len(fields(record.spec)) - 1 + len(record.spec.recipe)  # every switch, too
        assert text.count(f'"{relative}/spec.json"') == lines + 1


def test_the_same_records_give_the_same_page(tmp_path: Path) -> None:
    pages = []
    for name in "ab":
        write(tmp_path / name / "recorded", FAKES[0])
        pages.append(report(tmp_path / name, ["table6"]).read_bytes())
    assert pages[0] == pages[1]


def test_what_records_say_is_escaped(tmp_path: Path) -> None:
    write(tmp_path / "recorded", Fake("resnet20"))
    (path,) = (tmp_path / "recorded").rglob("execution.json")
    path.write_text(path.read_text().replace('"cpu"', '"<script>alert(1)</script>"'))
    text = report(tmp_path, ["table6"]).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_readme_is_renewed_between_its_markers(tmp_path: Path) -> None:
    write(tmp_path / "recorded", *FAKES)
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- table6:start -->\nold\n<!-- table6:end -->\nbetween\n"
        "<!-- time:start -->\n<!-- time:end -->\nafter\n"
    )
    report(tmp_path, ["table6"], readme)
    text = readme.read_text()
    assert "old" not in text
    assert "| resnet20 | test error, % | 8.75 | 8.80 ± 0.14 (n = 2) |" in text
    assert text.startswith("before\n<!-- table6:start -->\n")
    assert "\n<!-- table6:end -->\nbetween\n<!-- time:start -->\n| network |" in text
    assert text.endswith("<!-- time:end -->\nafter\n")


def test_a_file_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("<!-- a:end --> <!-- a:start -->")
    with pytest.raises(UserError, match="needs one line <!-- a:start -->"):
        update_between_markers(path, "a", "text")
    assert path.read_text() == "<!-- a:end --> <!-- a:start -->"
