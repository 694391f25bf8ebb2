"""Where `short` first lowers the rate: ours beside the paper's curves and public copies there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.paper.copies import START_COLUMNS, load_starts, parse_starts
from resnet_repro.paper.published import SHORT_DROP, curve, last_above, value_at
from resnet_repro.report.reading import read_frames
from resnet_repro.report.results_page import results_page
from resnet_repro.report.start import DRAWN, starts
from resnet_repro.train.recipe import PAPER, PROTOCOLS
from tests.report_records import Fake, write

GOOD = "a/b,log.csv,resnet20,3910,22.14,23.15,after 10 epochs"


def test_until_there_short_is_the_papers_training() -> None:
    short = PROTOCOLS["short"]
    assert short.drops[0] == SHORT_DROP
    assert SHORT_DROP % short.row_every == 0  # so that there is a row
    rates = {short.learning_rate(i) for i in range(SHORT_DROP)}
    assert rates == {PAPER.learning_rate(i) for i in range(SHORT_DROP)} == {0.1}
    assert short.learning_rate(SHORT_DROP) != PAPER.learning_rate(SHORT_DROP)


def test_a_point_of_a_curve_is_given_only_where_it_is_drawn() -> None:
    points = curve("fig6", "ResNet-56", "train").set_index("iteration")["error_pct"]
    assert value_at("fig6", "ResNet-56", "train", 4_000) == points[4_000]
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


def test_rows_are_of_that_iteration_and_of_short_alone(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("resnet20", 12.9, 10.4, protocol="short"),
        Fake("resnet20", 13.1, 10.6, protocol="short", seed=1),
        Fake("plain56", 50.0, 52.0, protocol="short"),
        Fake("plain110", 80.0, 80.0, protocol="short"),  # the paper draws no curve of it
        Fake("resnet32", 7.5, 0.1),  # under `paper`
    )
    frames = read_frames([tmp_path])
    found = {(row.arm, row.split): row for row in starts(frames)}
    assert [arm for arm, _ in found] == ["plain56", "plain56", "resnet20", "resnet20"]
    metrics = frames.metrics
    here = metrics[(metrics["arm"] == "resnet20") & (metrics["iteration"] == SHORT_DROP)]
    train = found["resnet20", "train"]
    assert train.ours.n == 2
    assert train.ours.mean == pytest.approx(here["train_error"].mean())
    assert train.paper == value_at("fig6", "ResNet-20", "train", SHORT_DROP)
    plain = found["plain56", "train"]
    assert (plain.paper, plain.drawn) == (None, 20_000)
    assert all(copy.train_error is not None for copy in train.copies)
    assert len(found["resnet20", "test"].copies) > len(train.copies) > 0


def test_an_arm_with_a_run_that_diverged_has_no_mean(tmp_path: Path) -> None:
    write(
        tmp_path,
        Fake("resnet20", 12.9, 10.4, protocol="short"),
        Fake("resnet20", None, None, protocol="short", seed=1, status="diverged"),
    )
    frames = read_frames([tmp_path])
    lost = (frames.metrics["seed"] == 1) & (frames.metrics["iteration"] >= SHORT_DROP)
    shorter = replace(frames, metrics=frames.metrics[~lost])
    for found in (frames, shorter):  # an error that is no number, or no such row
        assert {(row.ours.mean, row.ours.verdict) for row in starts(found)} == {(None, "diverged")}


def test_the_page_links_each_number_of_ours(tmp_path: Path) -> None:
    results = tmp_path / "recorded"
    write(results, Fake("resnet56", 17.7, 15.5, protocol="short"))
    page = tmp_path / "docs" / "results.md"
    text = results_page(page, [results], read_frames([results]), tmp_path / "figures")
    part = text.split("### Where `short` first lowers the rate")[1].split("\n## ")[0]
    record = "](../recorded/cifar10/resnet56/short/seed0)"
    lines = [line for line in part.splitlines() if line.startswith("| resnet56")]
    assert len(lines) == 2
    assert all(line.count(record) == 2 for line in lines)  # the error and the difference
    assert "https://github.com/a-martyn/resnet/blob/HEAD/results/resnet56.csv" in part
    assert "ResNet-56 up to iteration 7,000" in part


def test_without_a_run_under_short_there_is_no_such_part(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet56", 7.0, 0.1))
    text = results_page(tmp_path / "r.md", [tmp_path], read_frames([tmp_path]), tmp_path)
    assert "first lowers the rate" not in text


def test_the_packages_rows_read() -> None:
    found = load_starts()
    assert {row.arm for row in found} <= set(DRAWN)
    assert all(abs(row.iteration - SHORT_DROP) <= 100 for row in found)  # a quarter of an epoch


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a/b", "a.b", "source 'a.b' is no owner/name"),
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
    assert len(parse_starts([head, GOOD, GOOD.replace("22.14", "")])) == 2
    with pytest.raises(UserError, match=r"copies_start\.csv, row 1: ") as caught:
        parse_starts([head, GOOD.replace(old, new, 1)])
    assert message in str(caught.value)


def test_other_columns_are_refused() -> None:
    with pytest.raises(UserError, match="needs the columns source, file, arm, iteration"):
        parse_starts(["source,arm", "a/b,resnet20"])
