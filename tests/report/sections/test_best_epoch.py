"""What choosing the best test row would have gained."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from resnet_repro import paths
from resnet_repro.errors import UserError
from resnet_repro.paper import artifacts
from resnet_repro.records import store
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import make_view
from resnet_repro.report.sections.best_epoch import arm_runs, best_epoch_gain
from resnet_repro.report.tables import table
from tests.helpers.records import Fake, write

BEST = artifacts.load("claim_best_epoch")
ERRORS = st.floats(0, 100)


def test_the_gain_is_the_last_error_above_the_smallest() -> None:
    assert best_epoch_gain([90.0, 8.5, 8.0, 8.75]) == 0.75
    assert best_epoch_gain([9.0]) == 0.0
    with pytest.raises(UserError, match="give the rows of a finished run"):
        best_epoch_gain([])


@given(st.lists(ERRORS, min_size=1), ERRORS)
def test_choosing_never_loses_and_gains_nothing_when_the_last_is_the_best(
    rows: list[float], last: float
) -> None:
    gain = best_epoch_gain([*rows, last])
    assert gain >= 0
    assert (gain == 0) == (last <= min(rows))
    assert best_epoch_gain([*rows, min(rows)]) == 0
    assert best_epoch_gain([*reversed(rows), last]) == gain  # when it was best is all the same
    assert best_epoch_gain([0.0, *rows, last]) >= gain  # another try never gains less


def make_best(results: Path, fake: Fake, row: int, error: float) -> None:
    """Put `error` for the test error of a run's row, counted from 0."""
    path = fake.run.folder(results) / "metrics.csv"
    head, *rows = path.read_text().splitlines()
    cells = rows[row].split(",")
    cells[head.split(",").index("test_error")] = str(error)
    rows[row] = ",".join(cells)
    path.write_text("\n".join([head, *rows, ""]))
    (record,) = [r for r in store.read_records(results) if r.run == fake.run]
    at = int(cells[head.split(",").index("iteration")])
    changed = replace(record.result, best_test_error=error, best_test_iteration=at)
    store.write_result(record.folder, changed)


def test_the_figure_shows_every_finished_run(tmp_path: Path) -> None:
    fakes = [Fake("plain20", 9.0), Fake("plain20", 9.5, seed=1), Fake("resnet110", 6.5)]
    write(tmp_path, *fakes, Fake("resnet56", None, None, status="diverged"))
    write(tmp_path, Fake("plain20", 14.0, protocol="short"))
    make_best(tmp_path, fakes[0], 5, 8.75)
    make_best(tmp_path, fakes[2], 6, 6.0)
    view = make_view(BEST.artifact, read_frames([tmp_path]))
    found = arm_runs(view)
    assert [one.label for one in found] == ["plain-20", "ResNet-110"]
    assert [[len(run) for run in one.runs] for one in found] == [[8, 8], [8]]
    assert found[0].runs[0][5] == 8.75
    gains = [[best_epoch_gain(run) for run in one.runs] for one in found]
    assert gains[0][0] == 0.25
    assert gains[1] == [0.5]
    figure = BEST.draw(view)
    last_and_best, gained = figure.axes
    drawn = [line for line in gained.get_lines() if line.get_marker() in ("o", "s")]
    assert [float(line.get_ydata()[0]) for line in drawn] == [y for one in gains for y in one]
    [mean] = [line for line in gained.get_lines() if line.get_marker() == "_"]
    assert float(mean.get_ydata()[0]) == pytest.approx(sum(gains[0]) / 2)
    best = [line for line in last_and_best.get_lines() if line.get_marker() == "v"]
    assert sorted(float(line.get_ydata()[0]) for line in best)[0] == 6.0
    words = " ".join(t.get_text().replace("\n", " ") for t in figure.texts)
    assert "Diverged: resnet56." in words
    assert "tested 8 times" in words


def test_its_table_claims_nothing(tmp_path: Path) -> None:
    write(tmp_path, Fake("plain20"))
    found = table(BEST.artifact, read_frames([tmp_path]))
    assert found.claims == ()
    assert [row.metric for row in found.rows] == ["test_error"] * 10


def test_committed_runs_gain_what_their_results_say() -> None:
    frames = read_frames([paths.RECORDED])
    view = make_view(BEST.artifact, frames)
    gains = {one.network: [best_epoch_gain(run) for run in one.runs] for one in arm_runs(view)}
    assert gains
    for network, found in gains.items():
        runs = view.frames.runs_of("cifar10", network, view.protocol)
        recorded = [run.values["test_error"] - run.values["best_test_error"] for run in runs]
        assert found == pytest.approx(recorded)
