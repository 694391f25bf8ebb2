"""A user's own runs beside the suite's: the difference, its interval, and whether both agree."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from resnet_repro.messages import translated
from resnet_repro.paper import artifacts
from resnet_repro.records import schema, store
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.side_by_side import SideBySide, agreement, side_by_side, twins
from resnet_repro.report.statistics import t_quantile
from tests.helpers.records import Fake, write

TABLE6 = artifacts.load("table6").artifact
FIG6 = artifacts.load("fig6").artifact


def frames(folder: Path, *fakes: Fake) -> Frames:
    write(folder, *fakes)
    return read_frames([folder])


def row_of(rows: list[SideBySide], arm: str, protocol: str, metric: str) -> SideBySide:
    [row] = [
        row
        for row in rows
        if (row.yours.arm, row.yours.protocol, row.yours.metric) == (arm, protocol, metric)
    ]
    return row


def test_either_side_has_its_verdict(tmp_path: Path) -> None:
    suite = frames(tmp_path / "suite", *(Fake("resnet20", 8.7, seed=s) for s in range(5)))
    mine = [Fake("resnet20", 11.0, protocol="short"), Fake("resnet32", 9.5)]
    both = side_by_side(TABLE6, suite, frames(tmp_path / "mine", *mine))
    found = {
        (b.suite.arm, b.suite.protocol): (b.suite.ours.verdict, b.yours.ours.verdict)
        for b in both
        if b.suite.metric == "test_error"
    }
    assert found["resnet20", "paper"] == ("reproduced", "missing")
    assert found["resnet20", "short"] == ("missing", "reduced")
    assert found["resnet32", "paper"] == ("missing", "worse")
    assert found["resnet44", "paper"] == ("missing", "missing")
    assert all(b.difference is None and b.half_width is None for b in both)  # one side each
    assert len(agreement(both, [])) == 1


def test_the_difference_has_the_interval_of_the_suites_spread(tmp_path: Path) -> None:
    """Under `short`, where the paper's own runs lend nothing."""
    theirs = (12.6, 12.9, 13.0)
    fakes = (Fake("resnet20", e, e, protocol="short", seed=s) for s, e in enumerate(theirs))
    suite = frames(tmp_path / "suite", *fakes)
    mine = frames(tmp_path / "mine", Fake("resnet20", 12.0, 12.5, protocol="short", seed=7))
    both = side_by_side(FIG6, suite, mine)
    row = row_of(both, "resnet20", "short", "test_error")
    s = statistics.stdev(theirs)
    assert row.difference == pytest.approx(12.0 - statistics.fmean(theirs))
    assert row.half_width == pytest.approx(t_quantile(2) * s * math.sqrt(1 / 1 + 1 / 3))
    training = row_of(both, "resnet20", "short", "train_error")
    assert training.difference == pytest.approx(12.5 - statistics.fmean(theirs))
    assert training.half_width == pytest.approx(row.half_width)  # the same seeds' scatter
    assert twins(FIG6, suite, mine) == []
    [line] = agreement(both, [])
    assert "lies within its 95 % interval in all 2 comparisons" in line


def test_seeds_of_the_users_own_serve_where_the_suite_has_one(tmp_path: Path) -> None:
    suite = frames(tmp_path / "suite", Fake("resnet20", 12.0, protocol="short"))
    fakes = (Fake("resnet20", e, protocol="short", seed=s) for s, e in enumerate((14.0, 14.2)))
    both = side_by_side(TABLE6, suite, frames(tmp_path / "mine", *fakes))
    row = row_of(both, "resnet20", "short", "test_error")
    spread = statistics.stdev((14.0, 14.2))
    assert row.half_width == pytest.approx(t_quantile(1) * spread * math.sqrt(1 / 2 + 1))


def test_what_lies_outside_is_named(tmp_path: Path) -> None:
    fakes = (Fake("resnet20", 12 + s / 100, protocol="short", seed=s) for s in range(3))
    suite = frames(tmp_path / "suite", *fakes)
    mine = frames(tmp_path / "mine", Fake("resnet20", 14.0, protocol="short", seed=9))
    [line] = agreement(side_by_side(TABLE6, suite, mine), [])
    assert "outside its 95 % interval in 1 of 1" in line
    assert "resnet20, short, test error" in line
    assert translated(line, "zh_CN") is not None


def test_another_recipe_says_nothing_of_the_installation(tmp_path: Path) -> None:
    suite = frames(tmp_path / "suite", Fake("resnet20", protocol="short"))
    other = Fake("resnet20", protocol="short", bn_statistics="moving")
    mine = frames(tmp_path / "mine", other)
    both = side_by_side(TABLE6, suite, mine)
    assert twins(TABLE6, suite, mine) == []
    [line] = agreement(both, [])
    assert "differ in more than the seed" in line


def test_one_spec_and_seed_is_compared_row_by_row(tmp_path: Path) -> None:
    fake = Fake("resnet20", protocol="short")
    suite, mine = frames(tmp_path / "suite", fake), frames(tmp_path / "mine", fake)
    [twin] = twins(TABLE6, suite, mine)
    assert (twin.rows, twin.equal, twin.until, twin.apart) == (8, 8, 8_000, 0.0)
    [line] = agreement(side_by_side(TABLE6, suite, mine), [twin])
    assert "equal to the last digit (cifar10/resnet20/short/seed0)" in line

    path = fake.run.folder(tmp_path / "mine") / "metrics.csv"
    rows: list[dict[str, object]] = [dict(row) for row in store.read_table(path, schema.METRICS)]
    rows[5]["train_error"] = float(str(rows[5]["train_error"])) + 0.25
    store.write_table(path, schema.METRICS, rows)
    mine = read_frames([tmp_path / "mine"])
    [twin] = twins(TABLE6, suite, mine)
    assert (twin.equal, twin.until) == (5, 5_000)
    assert twin.apart == pytest.approx(0.25)
    lines = agreement(side_by_side(TABLE6, suite, mine), [twin])
    assert "equal until iteration 5,000, and then up to 0.25 points apart" in lines[0]


def test_numbers_that_were_not_measured_are_equal(tmp_path: Path) -> None:
    fake = Fake("resnet20", None, 1.0, protocol="short", status="diverged")
    suite, mine = frames(tmp_path / "suite", fake), frames(tmp_path / "mine", fake)
    [twin] = twins(TABLE6, suite, mine)
    assert twin.equal == twin.rows


def test_one_protocol_alone(tmp_path: Path) -> None:
    suite = frames(tmp_path / "suite", Fake("resnet20"))
    mine = frames(tmp_path / "mine", Fake("resnet20", protocol="short"), Fake("resnet20"))
    both = side_by_side(TABLE6, suite, mine, "short")
    assert {row.yours.protocol for row in both} == {"short", ""}  # parameters have none
