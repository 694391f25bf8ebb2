"""Processes side by side end when they are asked to, whatever they are doing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from resnet_repro.data.dataset import Dataset
from resnet_repro.runtime.distributed import World
from resnet_repro.sweep import launcher
from resnet_repro.sweep.launcher import Event, in_turn, side_by_side, stop_signals
from tests.helpers.stuck_job import stuck
from tests.helpers.training_jobs import smoke_job


@pytest.mark.timeout(120)
def test_a_process_that_does_not_leave_is_killed_after_a_while(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_child", stuck)
    monkeypatch.setattr(launcher, "GRACE", 0.5)
    said = []

    def emit(event: Event) -> None:
        said.append(event.value)
        os.kill(os.getpid(), signal.SIGTERM)

    job = smoke_job(tmp_path, digits, "resnet20-w8")
    with stop_signals() as asked:
        ends = side_by_side([job], {"digits": digits}, emit, (), 2, asked)
    assert (said, ends) == (["asleep"], {job.run: "stopped"})


def test_a_process_whose_starter_is_gone_saves_and_leaves(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(agent=os.getppid())
    assert not world.orphaned
    said: list[str] = []

    def emit(event: Event) -> None:
        if event.kind == "say":
            said.append(event.value)
        elif event.kind == "step" and event.value == 3:
            monkeypatch.setattr(os, "getppid", lambda: 1)

    job = smoke_job(tmp_path, digits, "resnet20-w8")
    ends = in_turn([job, job], {"digits": digits}, emit, (), world, lambda: False)
    assert ends == {job.run: "stopped"}
    assert said == [f"{job.run}: stopped and saved at iteration 3"]
    assert not World().orphaned
