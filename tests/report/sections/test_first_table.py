"""What somebody sees first: Table 6 in few lines, and in one sentence how far the suite is."""

from __future__ import annotations

from pathlib import Path

from resnet_repro.messages import translated
from resnet_repro.paper import artifacts
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.sections.first_table import HEADS, first_table
from resnet_repro.report.sections.summary import count_states, not_attempted
from resnet_repro.report.tables import table
from resnet_repro.report.write import language_of, readme_parts
from tests.helpers.records import Fake, write


def lines(folder: Path) -> dict[str, dict[str, str]]:
    grid = first_table(read_frames([folder]))
    assert grid.columns == HEADS
    cells = ([cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in grid.rows)
    return {row[0]: dict(zip(grid.columns, row, strict=True)) for row in cells}


def test_ours_is_what_the_papers_protocol_gave(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(Fake("resnet20", error, seed=i) for i, error in enumerate((8.5, 8.9))),
        Fake("resnet32", 12.0, protocol="short"),
        *(Fake("resnet110", error, seed=i) for i, error in enumerate((6.5, 6.3, 6.7))),
    )
    found = lines(tmp_path)
    assert list(found) == [
        "ResNet-20",
        "ResNet-32",
        "ResNet-44",
        "ResNet-56",
        "ResNet-110",
        "ResNet-110, best",
        "ResNet-1202",
    ]
    assert found["ResNet-20"]["ours, %"] == "8.70 ± 0.28 (n = 2)"
    assert found["ResNet-20"]["paper, %"] == "8.75"
    assert found["ResNet-20"]["difference"].startswith("-0.05 ± ")
    assert found["ResNet-32"]["ours, %"] == ""  # under another protocol it is not shown
    assert found["ResNet-32"]["verdict"] == "missing"
    assert found["ResNet-110, best"]["ours, %"] == "6.30 (of 3)"
    assert found["ResNet-110, best"]["verdict"] == ""


def test_another_reproduction_comes_with_its_caveat(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    other = lines(tmp_path)["ResNet-44"]["others' best, %"]
    assert other.startswith("[6.90](https://github.com/")
    assert "best test epoch" in other


def test_a_sentence_counts_errors_counts_and_claims_apart(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("resnet20", 8.75, parameters=269_722),
        Fake("resnet32", 9.0, protocol="short", parameters=464_154),
    )
    frames = read_frames([tmp_path])
    found = count_states([table(artifacts.load("table6").artifact, frames)])
    assert sum(found.errors.values()) == 37
    assert sum(found.counts.values()) == 11
    assert found.sentence == (
        "37 error rates of the paper's own networks: 1 reproduced, 1 reduced, "
        "35 missing. 11 exact counts: 2 reproduced, 9 missing. 5 claims: 0 hold, 5 missing."
    )
    assert not_attempted().endswith("Tables 7 to 14.")


def test_a_claim_counts_under_its_own_protocol(tmp_path: Path) -> None:
    write(
        tmp_path,
        *(Fake(n, e, e, protocol="short") for n, e in (("plain20", 9.0), ("plain56", 13.0))),
    )
    frames = read_frames([tmp_path])
    artifact = artifacts.load("fig1").artifact
    assert count_states([table(artifact, frames)]).claims["missing"] == len(artifact.claims)
    write(
        tmp_path,
        *(Fake(n, e, e, seed=1) for n, e in (("plain20", 9.0), ("plain56", 13.0))),
    )
    frames = read_frames([tmp_path])
    assert count_states([table(artifact, frames)]).claims["holds"] == len(artifact.claims)


def test_a_readme_is_written_in_its_language(tmp_path: Path) -> None:
    assert language_of(Path("README.md")) == ""
    assert language_of(Path("docs/README.zh-CN.md")) == "zh_CN"
    write(tmp_path, Fake("resnet20", 8.75))
    frames = read_frames([tmp_path])
    english, chinese = (readme_parts(frames, language) for language in ("", "zh_CN"))
    assert english["table6"] == chinese["table6"]
    assert "37 error rates" in english["state"]
    assert "未尝试" in chinese["state"]
    assert str(translated(not_attempted(), "zh_CN")) in chinese["state"]
