"""What public copies report: the file is sound, and the table sets it beside the paper and us."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.paper.other_reproductions import (
    COLUMNS,
    ITERATES,
    load_reproductions,
    parse_reproductions,
)
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.sections.other_reproductions import reported, reproductions_texts
from tests.helpers.records import Fake, write

GOOD = "a/b,README.md,resnet20,8.27,last,50000,200 epochs,"


def test_the_packages_copies_read() -> None:
    copies = load_reproductions()
    assert len({copy.source for copy in copies}) >= 5
    # Wherever copies agree on a network, theirs lie within two points of Table 6's 8.75.
    assert all(6.75 < c.test_error < 10.75 for c in copies if c.arm == "resnet20")
    [last] = [c for c in copies if (c.source, c.arm) == ("a-martyn/resnet", "plain56")]
    assert (last.test_error, last.which_iterate) == (13.07, "last")
    assert last.url == "https://github.com/a-martyn/resnet"


def test_every_iterate_is_one_that_is_explained() -> None:
    assert {copy.which_iterate for copy in load_reproductions()} <= set(ITERATES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a/b", "a.b", "source 'a.b' is no owner/name"),
        ("README.md", "", "file must be given"),
        ("resnet20", "resnet20-B", "arm 'resnet20-B' is no CIFAR network"),
        ("8.27", "0.0827", "'0.0827' is no error in %"),
        ("8.27", "91.73 %", "is no error in %"),
        ("last", "final", "iterate 'final' is none of last, best test epoch"),
        ("50000", "60000", "'60000' training images, not 45000 or 50000"),
        ("200 epochs", "", "schedule must be given"),
        (",200 epochs,", "", "more or fewer cells"),
        ("200 epochs,", "200 epochs,,more", "more or fewer cells"),
    ],
)
def test_a_bad_row_is_named_in_one_line(old: str, new: str, message: str) -> None:
    head, bad = ",".join(COLUMNS), GOOD.replace(old, new, 1)
    assert len(parse_reproductions([head, GOOD])) == 1
    with pytest.raises(UserError, match=r"other_reproductions\.csv, row 1: ") as caught:
        parse_reproductions([head, bad])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_network_given_twice_and_other_columns_are_refused() -> None:
    with pytest.raises(UserError, match="row 2: a/b has resnet20 twice"):
        parse_reproductions([",".join(COLUMNS), GOOD, GOOD])
    with pytest.raises(UserError, match="needs the columns source, file"):
        parse_reproductions(["source,arm", "a/b,resnet20"])


def test_the_paper_stands_first_then_ours_then_the_copies(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("resnet20", 8.7),
        Fake("resnet20", 8.9, seed=1),
        Fake("resnet20", 12.9, protocol="short"),
        Fake("plain20", None, None, status="diverged"),
    )
    rows = reported(read_frames([tmp_path]))
    head = [(r.source, r.text, r.schedule, r.where) for r in rows if r.arm == "resnet20"][:4]
    assert head == [
        ("paper", "8.75", "64,000 iterations", "Table 6"),
        ("suite", "8.80 ± 0.14 (n = 2)", "64,000 iterations", "protocol paper"),
        ("suite", "12.90 (n = 1)", "8,000 iterations", "protocol short"),
        ("a-martyn/resnet", "8.04", "164 epochs", "results/resnet20.csv"),
    ]
    plain = [(r.source, r.text, r.where) for r in rows if r.arm == "plain20"]
    assert plain[0] == ("paper", "9.70", "read off Fig. 6, mean of 50,000-64,000")
    assert "suite" not in [source for source, *_ in plain]  # a diverged run has no error
    assert [r.arm for r in rows][-1] == "plain56"


def test_three_formats_hold_the_same_rows(tmp_path: Path) -> None:
    texts = reproductions_texts(read_frames([tmp_path]))
    table = list(csv.DictReader(io.StringIO(texts["copies.csv"])))
    lines = [line for line in texts["copies.md"].splitlines() if line.startswith("| ")]
    body = [line for line in texts["copies.tex"].splitlines() if line.endswith(r"\\")]
    assert len(table) == len(lines) - 2 == len(body) - 1
    assert table[0]["test_error"] == "8.75"
    assert "| resnet20 | 8.75 | last | 50,000 |" in lines[2]
    assert "resnet20 & 8.75 & last & 50,000" in body[1]
