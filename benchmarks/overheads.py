"""What a run costs besides its training steps: evaluation, the record's rows, checkpoints."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from resnet_repro.data.dataset import Dataset
from resnet_repro.records.schema import RunId, Spec
from resnet_repro.records.store import Row
from resnet_repro.train.device import Device
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Stopped, Watch, train
from resnet_repro.train.recipe import RECIPE_VERSION, Recipe

ROWS = 2  # the first one's evaluation may compile; the last one is timed


@dataclass(frozen=True)
class Overheads:
    """Seconds of one row (evaluation, gradient norms, tables) and of one checkpoint."""

    row_seconds: float
    checkpoint_seconds: float


@dataclass
class _Clock:
    """Times, in seconds, of what a run reports."""

    step: float = 0.0
    stopped: float = 0.0
    rows: list[float] = field(default_factory=list)

    def on_step(self, _iteration: int) -> None:
        self.step = time.perf_counter()

    def on_row(self, _row: Row) -> None:
        self.rows.append(time.perf_counter() - self.step)

    def stop(self) -> bool:
        self.stopped = time.perf_counter()
        return len(self.rows) >= ROWS


def measure_overheads(
    network: str, data: Dataset, recipe: Recipe, device: Device, folder: Path
) -> Overheads:
    """Time them in a real run with a row a step, which is stopped and saves its checkpoint.

    folder: on the disk to be written to; what is written there is removed. On an accelerator a
    row's time includes waiting for the one step before it.
    """
    recipe = dataclasses.replace(recipe, row_every=1)
    clock = _Clock()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        job = Job(
            run=RunId(data.name, network, "benchmark", 0),
            spec=Spec(
                network, data.name, data.digest, dataclasses.asdict(recipe), RECIPE_VERSION, 0
            ),
            recipe=recipe,
            results=Path(scratch, "results"),
            cache=Path(scratch, "cache"),
            device=device,
            command="python -m benchmarks.cifar",
            checkpoint_seconds=float("inf"),
        )
        try:
            train(job, data, Watch(step=clock.on_step, row=clock.on_row, stop=clock.stop))
        except Stopped:
            return Overheads(clock.rows[-1], time.perf_counter() - clock.stopped)
    raise ValueError(f"{recipe.iterations} iterations end before row {ROWS}")


def overhead_share(
    overheads: Overheads, step_seconds: float, row_every: int, checkpoint_every: float
) -> float:
    """The part (0 ... 1) of a run's time that isn't training steps.

    row_every: steps between rows; checkpoint_every: seconds between checkpoints, rows included.
    """
    with_rows = 1 + overheads.row_seconds / (row_every * step_seconds)
    with_checkpoints = 1 + overheads.checkpoint_seconds / checkpoint_every
    return 1 - 1 / (with_rows * with_checkpoints)
