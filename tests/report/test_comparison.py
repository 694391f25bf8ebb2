"""What `compare` and the end of `run` show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnet_repro import paths
from resnet_repro.cli import main
from resnet_repro.paper import artifacts
from resnet_repro.report.comparison import compare_records, comparison_grids, comparison_json
from tests.helpers.records import Fake, counts, write

FIG6 = artifacts.load("fig6").artifact


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's records; the suite's lie beside them."""
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "suite")
    counts(tmp_path / "suite", "resnet20")
    write(tmp_path / "suite", *(Fake("resnet20", 8.7 + s / 10, seed=s) for s in range(3)))
    write(tmp_path / "suite", Fake("plain20", 9.6))
    write(tmp_path / "mine", Fake("resnet20", 8.9, seed=5), Fake("resnet20", protocol="short"))
    return tmp_path / "mine"


def test_one_vocabulary(mine: Path) -> None:
    found = compare_records(FIG6, paths.RECORDED, mine)
    [(title, grid)] = comparison_grids(found)
    assert title == FIG6.title
    assert grid.columns[3:] == (
        *("paper", "suite", "suite's verdict", "yours", "your verdict", "yours - suite"),
    )
    rows = comparison_json(found)["rows"]
    row = next(r for r in rows if (r["arm"], r["protocol"]) == ("resnet20", "paper"))
    assert (row["paper"], row["suite"], row["yours"]) == (8.75, 8.8, 8.9)
    assert row["yours_minus_suite"] == 0.1
    assert row["yours_minus_suite_half_width"] > 0.1
    assert (row["verdict"], row["yours_verdict"]) == ("reproduced", "consistent")


def test_arms_and_copies(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "fig6", "--results-dir", str(mine), "--json"]
    assert main([*words, "--arms", "resnet20,plain20", "--copies"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["arm"] for row in found["rows"]} == {"resnet20", "plain20"}
    assert {row["arm"] for row in found["copies"]} == {"resnet20", "plain20"}
    sources = [row["source"] for row in found["copies"] if row["arm"] == "resnet20"]
    assert sources[:4] == ["paper", "suite", "yours", "yours"]
    assert len(sources) > 4
    assert main(words) == 0
    assert "copies" not in json.loads(capsys.readouterr().out)
    assert main([*words, "--arms", "ResNet20"]) == 2
    assert "fig6 has no arm 'ResNet20': did you mean resnet20?" in capsys.readouterr().err


def test_one_figure_has_all_three(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = mine.parent / "figures"
    words = ["compare", "fig6", "--results-dir", str(mine), "--figures-dir", str(figures)]
    assert main(words) == 0
    text = (figures / "fig6.svg").read_text()
    for words_of in ("pale: paper", "dots: suite", "lines: yours"):
        assert words_of in text
    assert str(figures / "fig6.png") in capsys.readouterr().out


def test_a_part_of_an_artifact_has_the_claims_on_it_alone() -> None:
    part = FIG6.only([FIG6.arm("plain20"), FIG6.arm("resnet20")])
    assert {p.arm for p in part.published} == {"plain20", "resnet20"}
    [claim] = part.claims
    assert (claim.higher, claim.lower) == ("plain20", "resnet20")
    table6 = artifacts.load("table6").artifact
    part = table6.only([table6.arm("resnet110")])
    assert len(part.claims) == 5  # on what the table quotes


def test_run_ends_with_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--results-dir", str(tmp_path / "r"), "--cache-dir", str(tmp_path / "c")]
    words = ["run", "demo", "--protocol", "smoke", "--device", "cpu", "--arms"]
    assert main([*words, "resnet20-w8", *places]) == 0
    capsys.readouterr()
    assert main([*words, "plain20-w8", *places]) == 0
    said = capsys.readouterr().out
    table = said[said.index("1 done") : said.index("wrote")].splitlines()[1:]
    assert "yours" in table[0].split()
    assert any(line.startswith("plain20-w8") for line in table)
    assert not any("resnet20-w8" in line for line in table)
    assert "resnet20-w8" in (tmp_path / "r" / "tables" / "demo.md").read_text()


def test_without_runs_of_ones_own_no_figure_is_drawn(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "fig6", "--results-dir", str(mine / "none")]
    assert main([*words, "--figures-dir", str(tmp_path / "figures")]) == 0
    assert "No figure: " in capsys.readouterr().out
    assert not (tmp_path / "figures").exists()


def test_where_nobody_else_has_reported_a_line_says_so(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "fig4", "--results-dir", str(mine), "--copies"]) == 0
    assert "No other reproduction of these networks is known here." in capsys.readouterr().out
