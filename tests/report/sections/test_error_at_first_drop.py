"""The first rows under `paper` beside the paper's curves and public copies there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.paper.other_reproductions import START_COLUMNS, load_starts, parse_starts
from resnet_repro.paper.published import curve, last_above, value_at
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.results_page import results_page
from resnet_repro.report.sections.error_at_first_drop import (
    COMPARED_AT,
    COPIES_WITHIN,
    DRAWN,
    SPLITS,
    first_lines,
    first_rows,
)
from tests.helpers.records import Fake, write

GOOD = f"a/b,{'0a' * 20},log.csv,resnet20,3910,22.14,23.15,after 10 epochs"


def test_a_point_of_a_curve_is_given_only_where_it_is_drawn() -> None:
    assert value_at("fig6", "ResNet-56", "train", 4_000) == 17.85
    assert value_at("fig6", "plain-56", "train", 4_000) is None


def test_last_above_is_the_last_crossing() -> None:
    last = last_above("fig6", "ResNet-56", "ResNet-20", "train")
    deep, shallow = (
        curve("fig6", name, "train").set_index("iteration")["error_pct"]
        for name in ("ResNet-56", "ResNet-20")
    )
    assert deep[last] >= shallow[last]
    assert all(deep[i] < shallow[i] for i in deep.index if i > last)
    assert last_above("fig6", "ResNet-44", "ResNet-20", "train") == 0
    assert last_above("fig6", "plain-56", "plain-20", "test") == 64_000


def test_every_arm_whose_start_is_drawn_is_known() -> None:
    for arm in DRAWN:
        for split in SPLITS:
            network = arm.replace("plain", "plain-").replace("resnet", "ResNet-")
            at = int(curve("fig6", network, split)["iteration"].iloc[0])
            # `over 20` is said of a curve that has not entered the axis, not of one with a gap.
            for iteration in COMPARED_AT:
                drawn = value_at("fig6", network, split, iteration) is not None
                assert drawn == (at <= iteration)


def test_rows_are_of_those_iterations_and_of_paper_on_cifar10_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("resnet20", 8.8, 1.0, rows=64),
        Fake("resnet20", 8.6, 1.2, rows=64, seed=1),
        Fake("resnet20", 12.7, 10.4, protocol="short"),
        Fake("resnet20", 40.0, 40.0, dataset="digits", rows=64),
        Fake("plain56", 13.0, 6.0, rows=64),
        Fake("plain110", 80.0, 80.0, rows=64),  # the paper draws no curve of it
        Fake("resnet32", 7.5, 0.1),  # whose first row is at iteration 8,000
    )
    frames = read_frames([tmp_path])
    found = {(row.arm, row.iteration): row for row in first_rows(frames)}
    assert set(found) == {
        *(("plain56", i) for i in COMPARED_AT),
        *(("resnet20", i) for i in COMPARED_AT),
        ("resnet32", 8_000),
    }
    row = found["resnet20", 4_000]
    m = frames.metrics
    here = m[(m["arm"] == "resnet20") & (m["protocol"] == "paper") & (m["dataset"] == "cifar10")]
    here = here[here["iteration"] == 4_000]
    assert row.ours["train"].n == len(here) == 2
    assert row.ours["train"].mean == pytest.approx(here["train_error"].mean())
    assert row.paper == {"train": 15.78, "test": 16.19}
    assert found["plain56", 4_000].paper == {"train": None, "test": None}
    assert row.window == 1_000
    assert found["resnet32", 8_000].window == 8_000


def test_lines_name_the_paper_ours_and_the_copies(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("plain56", 13.0, 6.0, rows=64),
        Fake("resnet20", 8.8, 1.0, rows=64),
        Fake("resnet110", 6.5, 0.1, rows=64),  # which no copy logged
    )
    lines = first_lines(first_rows(read_frames([tmp_path])))
    told = [(line.arm, line.iteration, line.source) for line in lines]
    assert told[2:5] == [
        ("plain56", 4_000, "the paper"),
        ("plain56", 4_000, "this suite"),
        ("plain56", 3_910, "a-martyn/resnet"),
    ]
    assert told[-2:] == [("resnet110", 8_000, "the paper"), ("resnet110", 8_000, "this suite")]
    paper, ours, copy = lines[2:5]
    assert paper.cells == ("over 20", "over 20")
    assert paper.caveat.endswith(
        "draws the training error from 20,000 and the test error from 22,000 on"
    )
    assert "(" not in ours.cells[0]  # no difference from what is not drawn
    assert copy.cells == ("65.07", "62.28")
    residual = next(
        line for line in lines if (line.arm, line.iteration, line.ours) == ("resnet20", 4_000, True)
    )
    error, gap = residual.cells[0].removesuffix(")").split(" (")
    assert float(gap) == pytest.approx(float(error) - 15.78, abs=0.011)
    [caffe] = [line for line in lines if line.source.startswith("yihui")]
    assert caffe.cells == ("", "31.90")  # it logged single batches


@pytest.mark.parametrize("stopped", [1_000, 4_000, 6_000])
def test_an_arm_with_a_run_that_diverged_has_no_mean(tmp_path: Path, stopped: int) -> None:
    write(
        tmp_path,
        Fake("resnet20", 8.8, 1.0, rows=64),
        Fake("resnet20", 80.0, 80.0, seed=1, rows=64, status="diverged"),
    )
    frames = read_frames([tmp_path])
    lost = (frames.metrics["seed"] == 1) & (frames.metrics["iteration"] > stopped)
    frames = replace(frames, metrics=frames.metrics[~lost])
    [row] = [row for row in first_rows(frames) if row.iteration == 4_000]
    assert {(o.n, o.mean, o.verdict) for o in row.ours.values()} == {(2, None, "diverged")}
    [ours] = [line for line in first_lines([row]) if line.ours]
    assert ours.cells == ("diverged", "diverged")


def test_the_page_links_each_number_of_ours(tmp_path: Path) -> None:
    results = tmp_path / "recorded"
    write(results, Fake("resnet56", 7.0, 0.1, rows=64))
    page = tmp_path / "docs" / "results.md"
    text = results_page(page, [results], read_frames([results]), tmp_path / "figures")
    part = text.split("## The first rows beside Fig. 6")[1].split("\n## ")[0]
    record = "](../recorded/cifar10/resnet56/paper/seed0)"
    ours = [line for line in part.splitlines() if "this suite" in line]
    assert len(ours) == len(COMPARED_AT)
    assert all(line.count(record) == 2 for line in ours)  # training error and test error
    [copy] = [line for line in part.splitlines() if "a-martyn/resnet" in line]
    assert "https://github.com/a-martyn/resnet/blob/" in copy


def test_without_a_run_under_paper_there_is_no_such_part(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet56", 7.0, 0.1, protocol="short"))
    text = results_page(tmp_path / "r.md", [tmp_path], read_frames([tmp_path]), tmp_path)
    assert "beside Fig. 6" not in text


def test_the_packages_rows_read() -> None:
    found = load_starts()
    assert {row.arm for row in found} <= set(DRAWN)
    assert all(any(abs(row.iteration - i) <= COPIES_WITHIN for i in COMPARED_AT) for row in found)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a/b", "a.b", "source 'a.b' is no owner/name"),
        ("0a0a", "HEAD", "is no commit's 40 digits"),
        ("log.csv", "", "file must be given"),
        ("resnet20", "resnet20-B", "arm 'resnet20-B' is no CIFAR network"),
        ("3910", "10 epochs", "iteration '10 epochs' is no number"),
        ("22.14", "0.2214", "training error '0.2214' is no error in %"),
        ("23.15", "", "test error '' is no error in %"),
        (",after 10 epochs", "", "more or fewer cells"),
    ],
)
def test_a_bad_row_is_named_in_one_line(old: str, new: str, message: str) -> None:
    head = ",".join(START_COLUMNS)
    assert parse_starts([head, GOOD.replace("22.14", "")])[0].train_error is None
    with pytest.raises(UserError, match=r"other_reproductions_start\.csv, row 1: ") as caught:
        parse_starts([head, GOOD.replace(old, new, 1)])
    assert message in str(caught.value)


def test_a_network_given_twice_and_other_columns_are_refused() -> None:
    with pytest.raises(UserError, match="row 2: a/b has resnet20 twice"):
        parse_starts([",".join(START_COLUMNS), GOOD, GOOD])
    with pytest.raises(UserError, match="needs the columns source, commit, file, arm, iteration"):
        parse_starts(["source,arm", "a/b,resnet20"])
