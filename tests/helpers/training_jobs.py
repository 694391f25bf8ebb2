"""Small training jobs for tests."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.paper.artifacts import Arm
from resnet_repro.records.schema import RunId
from resnet_repro.runtime.device import choose
from resnet_repro.sweep.plan import Planned, make_spec
from resnet_repro.train.job import Job
from resnet_repro.train.recipe import PROTOCOLS
from resnet_repro.train.trainer import Trainer


def smoke_job(folder: Path, data: Dataset, network: str, **changes: object) -> Job:
    """A run of 12 iterations, or with other switches, below `folder`."""
    recipe = dataclasses.replace(PROTOCOLS["smoke"], **changes)  # type: ignore[arg-type]
    run = RunId(data.name, network, "smoke", 0)
    planned = Planned(run, Arm(network, network, data.name), recipe, "missing")
    return Job(
        run=run,
        spec=make_spec(planned, data.digest),
        recipe=recipe,
        results=folder / "results",
        cache=folder / "cache",
        device=choose("cpu", "fp32"),
        command="python -m resnet_repro run demo --protocol smoke",
    )


def pixels_of(trainer: Trainer) -> InMemoryLoader:
    """The source of a trainer on arrays."""
    assert isinstance(trainer.source, InMemoryLoader)
    return trainer.source


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
