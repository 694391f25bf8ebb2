"""Runs that several processes share: passed over, looked at again, longest first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from resnet_repro.data.dataset import Dataset
from resnet_repro.paper import artifacts
from resnet_repro.records.schema import RunId
from resnet_repro.runtime.distributed import SINGLE_PROCESS
from resnet_repro.sweep import plan
from resnet_repro.sweep.launcher import shared
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Stopped, Watch, train
from tests.helpers.records import lease_elsewhere
from tests.helpers.training_jobs import smoke_job


def jobs_of(folder: Path, data: Dataset) -> list[Job]:
    return [smoke_job(folder, data, name) for name in ("resnet8-w4", "plain8-w4")]


def test_what_another_has_is_passed_over_and_taken_when_it_is_free(
    tmp_path: Path, digits: Dataset
) -> None:
    one, two = jobs_of(tmp_path, digits)
    one.folder.mkdir(parents=True)
    lease = lease_elsewhere(one.folder)
    launched: list[list[RunId]] = []

    def launch(jobs: list[Job]) -> dict[RunId, str]:
        launched.append([job.run for job in jobs])
        if len(launched) == 2:
            lease.unlink()
        return {job.run: "done" for job in jobs}

    ends = shared([one, two], launch, SINGLE_PROCESS, lambda: False, look=0.0)
    assert launched == [[two.run], [], [one.run]]
    assert ends == {one.run: "done", two.run: "done"}


@pytest.mark.parametrize(("end", "times"), [("failed", 1), ("diverged", 1), ("busy", 3)])
def test_only_what_was_busy_is_tried_again(
    tmp_path: Path, digits: Dataset, end: str, times: int
) -> None:
    [job, _] = jobs_of(tmp_path, digits)
    tries: list[int] = []

    def launch(jobs: list[Job]) -> dict[RunId, str]:
        tries.append(len(jobs))
        return {job.run: end if len(tries) < 3 else "done"}

    ends = shared([job], launch, SINGLE_PROCESS, lambda: False, look=0.0)
    assert len(tries) == times
    assert ends == {job.run: end if times == 1 else "done"}


def test_who_is_stopped_begins_no_other(tmp_path: Path, digits: Dataset) -> None:
    jobs = jobs_of(tmp_path, digits)
    stopped: list[bool] = []

    def launch(jobs: list[Job]) -> dict[RunId, str]:
        stopped.append(True)
        return {jobs[0].run: "stopped"}

    assert shared(jobs, launch, SINGLE_PROCESS, lambda: bool(stopped), look=60.0) == {
        jobs[0].run: "stopped"
    }
    assert len(stopped) == 1


def test_a_shared_run_goes_on_elsewhere_and_its_plan_says_from_where(
    tmp_path: Path, digits: Dataset
) -> None:
    whole = smoke_job(tmp_path / "whole", digits, "resnet20-w8")
    train(whole, digits, Watch())
    here = dataclasses.replace(smoke_job(tmp_path, digits, "resnet20-w8"), shared=True)
    steps: list[int] = []
    with pytest.raises(Stopped):
        train(here, digits, Watch(step=steps.append, stop=lambda: steps[-1] >= 8))
    assert here.checkpoints == here.folder / "checkpoints"
    request = plan.Request(
        artifacts.load("demo").artifact, ("resnet20-w8",), protocol="smoke", results=here.results
    )
    [planned] = plan.plan(request, "cpu")
    assert (planned.state, planned.iteration) == ("partial", 8)

    elsewhere = dataclasses.replace(here, cache=tmp_path / "other machine")
    said: list[str] = []
    train(elsewhere, digits, Watch(say=said.append))
    assert said == [f"{here.run}: resumed at iteration 8"]
    assert not here.checkpoints.exists()
    for name in ("metrics.csv", "weights.safetensors"):
        assert (here.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_run_that_was_begun_alone_goes_on_shared(tmp_path: Path, digits: Dataset) -> None:
    alone = smoke_job(tmp_path, digits, "resnet8-w4")
    steps: list[int] = []
    with pytest.raises(Stopped):
        train(alone, digits, Watch(step=steps.append, stop=lambda: steps[-1] >= 3))
    said: list[str] = []
    job = dataclasses.replace(alone, shared=True)
    train(job, digits, Watch(say=said.append))
    assert said == [f"{alone.run}: resumed at iteration 3"]
    assert not list(tmp_path.rglob("*.checkpoint"))


def test_the_longest_run_comes_first(tmp_path: Path) -> None:
    request = plan.Request(artifacts.load("table6").artifact, results=tmp_path)
    planned = plan.longest_first(plan.plan(request, "cpu"))
    names = [p.run.arm for p in planned if p.run.arm.startswith("resnet")]
    assert names == sorted(names, key=lambda name: int(name[6:].split("-")[0]), reverse=True)
    assert len(names) > 3
