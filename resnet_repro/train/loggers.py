"""A copy of a run's curves in Weights & Biases, when asked for; the record stays the truth."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from msgspec.structs import asdict

from resnet_repro.errors import UserError
from resnet_repro.records.schema import Execution, Result
from resnet_repro.records.store import Row
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Watch

PROJECT = "resnet-repro"


def require_wandb() -> ModuleType:
    """The wandb package. Raises UserError when it is not installed."""
    try:
        import wandb
    except ImportError:
        raise UserError("--wandb needs the package wandb: pip install wandb") from None
    return wandb


def run_id(job: Job) -> str:
    """The wandb run of this spec under these labels: the same after every resumption."""
    labels = f"{job.run.dataset}-{job.run.arm}-seed{job.run.seed}"
    return f"{labels}-{job.spec.hash[:12]}"


@contextlib.contextmanager
def mirrored(watch: Watch, job: Job, mode: str) -> Iterator[Watch]:
    """`watch`, and with mode `offline` or `online` its rows to wandb as well.

    Every value is logged against the iteration, so that rows repeated after a kill fall onto
    themselves. Raises UserError when wandb is not installed or cannot start.
    """
    if mode == "disabled":
        yield watch
        return
    wandb = require_wandb()
    runs: list[Any] = []  # the wandb run, from when ours has its lock and begins

    def begin(execution: Execution) -> None:
        runs.append(_start(wandb, job, mode))
        runs[0].config.update({"execution": asdict(execution)}, allow_val_change=True)
        watch.begin(execution)

    def row(values: Row) -> None:
        runs[0].log(dict(values))
        watch.row(values)

    def end(result: Result) -> None:
        runs[0].summary.update(_final(result))
        watch.end(result)

    ended = False
    try:
        yield dataclasses.replace(watch, begin=begin, row=row, end=end)
        ended = True
    finally:
        for run in runs:
            run.finish(exit_code=0 if ended else 1)


def _start(wandb: ModuleType, job: Job, mode: str) -> Any:
    folder = job.cache / "wandb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=PROJECT,
            id=run_id(job),
            name=str(job.run),
            resume="allow",
            mode=mode,
            dir=str(folder),
            config={"spec": asdict(job.spec), "protocol": job.run.protocol},
            settings=wandb.Settings(console="off", save_code=False, silent=True),
        )
    except (wandb.errors.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"wandb cannot start ({reason}); try --wandb offline") from error
    run.define_metric("*", step_metric="iteration")
    return run


def _final(result: Result) -> dict[str, Any]:
    """The final values, under names that no curve has."""
    return {f"final/{name}": value for name, value in asdict(result).items()}
