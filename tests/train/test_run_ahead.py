"""The real loop on a device that lags behind the host, as CUDA does; by a clock of its own."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from resnet_repro.data.dataset import Dataset
from resnet_repro.runtime.cuda_graph import MARK_EVERY, RunAhead
from resnet_repro.train import checkpoint, loop, norms
from resnet_repro.train import trainer as trainer_module
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Stopped, Watch, train
from resnet_repro.train.trainer import Trainer
from tests.helpers.cuda_stand_in import LaggingDevice
from tests.helpers.training_jobs import read_rows, smoke_job

STEP = 0.1  # seconds the device takes
BOUND = 2 * MARK_EVERY


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> LaggingDevice:
    """Drives the loop's clock; steps are computed at once, and count as queued."""
    lagging = LaggingDevice(STEP)
    compute = Trainer._compute

    def step(trainer: Trainer) -> None:
        compute(trainer)
        lagging.step()

    class Bounded(Trainer):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            self._ahead = RunAhead()

    monkeypatch.setattr(Bounded, "_compute", step)
    monkeypatch.setattr(loop, "Trainer", Bounded)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lagging.monotonic))
    monkeypatch.setattr(torch.cuda, "Event", lagging.event)
    for place, name in (
        (Trainer, "pop_train_metrics"),
        (Trainer, "test"),
        (norms, "gradient_norms"),
        (norms, "weight_norms"),
        (checkpoint, "on_host"),
        (trainer_module, "synchronize"),
    ):
        monkeypatch.setattr(place, name, lagging.waiting(getattr(place, name)))
    return lagging


def a_job(folder: Path, data: Dataset, seconds: float) -> Job:
    job = smoke_job(folder, data, "plain8-w4", iterations=120, row_every=60, drops=(90,))
    return dataclasses.replace(job, checkpoint_seconds=seconds)


@pytest.mark.parametrize("seconds", [1000.0, 0.7])
def test_rows_add_up_to_the_time_that_the_device_took(
    tmp_path: Path, digits: Dataset, device: LaggingDevice, seconds: float
) -> None:
    train(a_job(tmp_path, digits, seconds), digits, Watch())
    rows = read_rows(next(tmp_path.glob("results/*/*/*/seed0")) / "timing.csv")
    for row in rows:
        # The launch of the first step is not hidden by those before.
        assert float(row["seconds"]) == pytest.approx(60 * STEP, rel=0.05)


def test_the_host_stays_a_few_steps_ahead(
    tmp_path: Path, digits: Dataset, device: LaggingDevice
) -> None:
    train(a_job(tmp_path, digits, 1000.0), digits, Watch())
    assert MARK_EVERY < device.most_queued <= BOUND  # ahead, so that the device never waits


def test_a_stop_is_heeded_within_a_few_steps(
    tmp_path: Path, digits: Dataset, device: LaggingDevice
) -> None:
    asked = device.now + 3.05

    with pytest.raises(Stopped):
        train(a_job(tmp_path, digits, 1000.0), digits, Watch(stop=lambda: device.now >= asked))
    assert device.now - asked <= (BOUND + 1) * STEP


def test_what_was_queued_at_a_stop_counts_as_training(
    tmp_path: Path, digits: Dataset, device: LaggingDevice
) -> None:
    """The row that a stopped run finishes later has its earlier part's time in it."""
    job = a_job(tmp_path, digits, 1000.0)
    with pytest.raises(Stopped):
        train(job, digits, Watch(stop=lambda: device.until > 1004))
    train(job, digits, Watch())
    assert float(read_rows(job.folder / "timing.csv")[0]["seconds"]) == pytest.approx(6.0, rel=0.05)


def test_checkpoints_cost_a_hundredth_of_the_time(
    tmp_path: Path, digits: Dataset, device: LaggingDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the disk; the first comes when it was asked for."""
    saved: list[float] = []

    def slow(*args: object) -> None:
        saved.append(device.now)
        device.now += 0.02

    monkeypatch.setattr(checkpoint, "save", slow)
    train(a_job(tmp_path, digits, 0.5), digits, Watch())
    gaps = [later - earlier for earlier, later in itertools.pairwise(saved)]
    assert saved[0] - 1000 < 0.5 + BOUND * STEP + 1
    assert len(gaps) > 2
    assert min(gaps) >= 0.02 / loop.SAVING


def test_checkpoints_after_every_step_on_request(
    tmp_path: Path, digits: Dataset, device: LaggingDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[object] = []
    monkeypatch.setattr(checkpoint, "save", lambda *args: saved.append(args))
    train(a_job(tmp_path, digits, 0.0), digits, Watch())
    assert len(saved) == 120
