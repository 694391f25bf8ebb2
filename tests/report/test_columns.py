"""A column is one entry in a list, and every writer has it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from resnet_repro import paths
from resnet_repro.cli import main
from resnet_repro.report import columns, comparison, results_page, write
from resnet_repro.report.columns import CLAIMS, RESULTS, SIDE_BY_SIDE, Column
from resnet_repro.report.page import sections
from resnet_repro.report.tables import ResultRow
from tests.helpers.records import Fake
from tests.helpers.records import write as write_records

LAYERS: Column[ResultRow] = Column(
    "depth", lambda row: 20, "layers said", lambda row: "twenty", said=True
)


def test_one_entry_reaches_every_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (*RESULTS, LAYERS)
    both = (*SIDE_BY_SIDE, columns._of(lambda pair: pair.suite, LAYERS))
    for module in (results_page, write, sections):
        monkeypatch.setattr(module, "RESULTS", more)
    for module in (write, comparison):
        monkeypatch.setattr(module, "SIDE_BY_SIDE", both)
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "results")
    write_records(tmp_path / "results", Fake("resnet20", test_error=8.8))
    results, page = tmp_path / "results.md", tmp_path / "page.html"
    write.write_report(
        [tmp_path / "results"],
        tmp_path / "figures",
        tmp_path / "tables",
        ["table6"],
        page=page,
        results_page=results,
    )
    tables = tmp_path / "tables"
    for text in (results, page, tables / "table6.md", tables / "table6.tex"):
        assert "layers said" in text.read_text()
        assert "twenty" in text.read_text()
    with (tables / "table6.csv").open() as lines:
        assert {row["depth"] for row in csv.DictReader(lines)} == {"20"}
    words = ["compare", "table6", "--results-dir", str(tmp_path / "results")]
    assert main(words) == 0
    assert "layers said" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert {row["depth"] for row in json.loads(capsys.readouterr().out)["rows"]} == {20}


def test_no_two_columns_share_a_name() -> None:
    for found in (RESULTS, CLAIMS, SIDE_BY_SIDE):
        keys = [c.key for c in found]
        titles = [c.title for c in found if c.title]
        assert len(set(keys)) == len(keys)
        assert len(set(titles)) == len(titles)
