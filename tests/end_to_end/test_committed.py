"""What is committed fits what is recorded: tables, figures and the README's numbers."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from resnet_repro import paths
from resnet_repro.paper import artifacts
from resnet_repro.records.metrics import COUNTED
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import make_view
from resnet_repro.report.plots.digest import plotted_digest
from resnet_repro.report.plots.files import stored_digest
from resnet_repro.report.results_page import heading_anchor, results_page
from resnet_repro.report.sections.other_reproductions import reproductions_texts
from resnet_repro.report.tables import table
from resnet_repro.report.write import ALL, all_results, language_of, readme_parts, write_tables
from resnet_repro.sweep import status
from tests.conftest import REPO


@pytest.fixture(scope="module")
def frames() -> Frames:
    return read_frames([paths.RECORDED])


def test_every_committed_record_is_sound() -> None:
    found = status.verify(paths.RECORDED)
    assert found["records"] > 0
    assert found["problems"] == []


@pytest.mark.parametrize("name", artifacts.names())
def test_committed_tables_and_figures_are_those_of_the_records(
    name: str, frames: Frames, tmp_path: Path
) -> None:
    artifact = artifacts.load(name).artifact
    view = make_view(artifact, frames)
    tables, figures = REPO / "results" / "tables", REPO / "figures"
    if view.empty:
        assert not list(tables.glob(f"{name}.*"))
        return
    for path in write_tables(table(artifact, frames), tmp_path):
        assert path.read_bytes() == (tables / path.name).read_bytes(), path.name
    for kind in ("svg", "png"):
        assert stored_digest(figures / f"{artifact.stem}.{kind}") == plotted_digest(view)


def test_the_committed_table_of_everything_is_that_of_the_records(frames: Frames) -> None:
    text = all_results([table(artifacts.load(name).artifact, frames) for name in artifacts.names()])
    assert (REPO / "results" / "tables" / ALL).read_text() == text
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["artifact"] for row in rows} == set(artifacts.names())
    for row in rows:
        measured = row["suite"] and row["metric"] not in COUNTED and row["protocol"]
        if measured and row["dataset"] != "imagenet":
            assert all(row[name] for name in ("n", "seeds", "machines", "precisions", "commits"))


def test_the_committed_table_of_copies_is_that_of_the_records(frames: Frames) -> None:
    for name, text in reproductions_texts(frames).items():
        assert (REPO / "results" / "tables" / name).read_text() == text, name


def test_the_committed_results_page_is_that_of_the_records(frames: Frames) -> None:
    path = REPO / "docs" / "results.md"
    assert path.read_text() == results_page(path, [paths.RECORDED], frames, REPO / "figures")


def test_no_figure_is_left_over(frames: Frames) -> None:
    """A figure that no artifact draws from the records any more would never be checked."""
    found = [artifacts.load(name).artifact for name in artifacts.names()]
    drawn = {a.stem for a in found if not make_view(a, frames).empty}
    ours = {"demo_degradation"}  # drawn by `make demo`, and not committed
    assert {p.stem for p in (REPO / "figures").glob("*.*")} - ours == drawn


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_shows_what_is_recorded(frames: Frames, readme: str) -> None:
    text = (REPO / readme).read_text()
    for name, part in readme_parts(frames, language_of(Path(readme))).items():
        assert f"<!-- {name}:start -->\n{part.strip()}\n<!-- {name}:end -->" in text


def test_links_of_the_documents_lead_somewhere() -> None:
    for path in [*REPO.glob("*.md"), *(REPO / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)]+)", path.read_text()):
            if link.startswith("http"):
                continue
            file, _, anchor = link.partition("#")
            target = path.parent / file if file else path
            assert target.exists(), f"{path.name}: {link}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
                assert anchor in map(heading_anchor, headings), f"{path.name}: {link}"
