"""What a record says is text in every markup, and a link leads to a file beside it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.markup import Grid, as_link, latex_grid, markdown_grid
from resnet_repro.report.render import csv_text
from resnet_repro.report.write import write_report
from tests.helpers.records import Fake, write

EVIL = (
    '=HYPERLINK("//evil.example")\n<!-- time:end --><script>alert(1)</script>'
    "[here](//evil.example) | \\input{x}"
)
README = (
    "<!-- time:start -->\n<!-- time:end -->\nmy own\n<!-- table6:start -->\n<!-- table6:end -->\n"
    "<!-- state:start --><!-- state:end -->\n"
)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that `report` writes of a record from a machine of that name."""
    root = tmp_path_factory.mktemp("evil results # (1)")
    write(root / "results", Fake("resnet20", device_name=EVIL), Fake("plain20", device_name=EVIL))
    (root / "README.md").write_text(README)
    write_report(
        [root / "results"],
        root / "figures",
        root / "tables",
        ["table6"],
        page=root / "page.html",
        readmes=[root / "README.md"],
        results_page=root / "results.md",
    )
    return root


def test_markers_stand_once_and_a_second_report_finds_them(reported: Path) -> None:
    for path in (reported / "README.md", reported / "results.md", reported / "tables/table6.md"):
        text = path.read_text()
        assert "evil.example" in text
        assert text.count("<!-- time:end -->") == (1 if path.name == "README.md" else 0)
        assert "<script>" not in text
        assert "](//evil" not in text
    assert "my own" in (reported / "README.md").read_text()
    lines = (reported / "README.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|") and "evil" in line]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 9 for row in rows)


def test_no_cell_of_a_spreadsheet_is_a_formula(reported: Path) -> None:
    with (reported / "tables" / "table6.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    texts = [cell for row in rows for cell in row]
    assert any("evil.example" in cell for cell in texts)
    for cell in texts:
        assert "\n" not in cell
        assert not cell.startswith(("=", "+", "@", "\t"))
        if cell.startswith("-"):
            float(cell)


def test_the_page_holds_it_as_text(reported: Path) -> None:
    text = (reported / "page.html").read_text()
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert 'href="//evil' not in text


def test_links_are_quoted(reported: Path) -> None:
    text = (reported / "results.md").read_text()
    targets = re.findall(r"\]\((results/[^)]*)\)", text)
    assert targets
    assert not any(re.search(r"[\s#()]", target) for target in targets)


@pytest.mark.parametrize("name", ["//evil.example", "javascript:alert(1)", "a b.csv", "../x.csv"])
def test_a_record_that_names_a_file_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "results", Fake("resnet20"))
    (path,) = (tmp_path / "results").rglob("result.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": {name: "0" * 64}}))
    with pytest.raises(UserError, match="is no plain name of a file"):
        write_report([tmp_path / "results"], tmp_path / "f", tmp_path / "t", ["table6"])


def test_text_in_each_markup() -> None:
    cells = Grid(("a",), (("x | <b>y</b>\r\nz < 3, <0.1 [l](m)",),))
    assert markdown_grid(cells).splitlines()[2] == ("| x \\| &lt;b>y&lt;/b> z < 3, <0.1 [l]\\(m) |")
    assert "\\textbackslash{}input\\{x\\}" in latex_grid(Grid(("a",), ((EVIL,),)), "c", "l")
    assert "\n=" not in latex_grid(Grid(("a",), (("b\n=c",),)), "c", "l")
    for text, written in (
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("-1 of 2", "'-1 of 2"),
        ("a\nb", "a b"),
    ):
        row = next(csv.DictReader(io.StringIO(csv_text([{"a": text, "b": -1.5}]))))
        assert row == {"a": written, "b": "-1.5"}


def test_a_link_never_leaves_the_site(tmp_path: Path) -> None:
    assert as_link(tmp_path / "a" / "b c#d", tmp_path) == "a/b%20c%23d"
    assert as_link(tmp_path / "javascript:x", tmp_path) == "javascript%3Ax"
    assert as_link(tmp_path / "x", tmp_path / "y") == "../x"
