"""Copies of a run's curves in trackers, when asked for; the record stays the truth.

A tracker is a name and a function in TRACKERS that begins a run in it, or goes on with it: the
run's identifier is the same after every resumption.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec.structs import asdict

from resnet_repro.errors import UserError
from resnet_repro.records.schema import Execution, Result
from resnet_repro.records.store import Row
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Watch

PROJECT = "resnet-repro"


@dataclass(frozen=True)
class Tracked:
    """A run as it is mirrored: what to call with a row, with the result, and last of all."""

    row: Callable[[Row], None]
    end: Callable[[Result], None]
    close: Callable[[bool], None]  # whether the run ended by itself
    place: str  # where it is, and the command that shows or uploads it


@dataclass(frozen=True)
class Tracker:
    """What a tracker needs, and how a run begins in it."""

    module: str
    package: str
    start: Callable[[ModuleType, Job, Execution], Tracked]


def require(names: Sequence[str]) -> None:
    """Raise UserError for a tracker there is not, or whose package is not installed."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"there is no tracker {name}: give some of {', '.join(TRACKERS)}")
        _module(name)


def _module(name: str) -> ModuleType:
    tracker = TRACKERS[name]
    try:
        return import_module(tracker.module)
    except ImportError:
        raise UserError(
            f"the tracker {name} needs the package {tracker.package}: pip install {tracker.package}"
        ) from None


def run_id(job: Job) -> str:
    """The run of this spec under these labels: the same after every resumption."""
    labels = f"{job.run.dataset}-{job.run.arm}-seed{job.run.seed}"
    return f"{labels}-{job.spec.hash[:12]}"


@contextlib.contextmanager
def mirrored(watch: Watch, job: Job, names: Sequence[str]) -> Iterator[Watch]:
    """`watch`, and its rows to each of the trackers as well.

    Every value is logged against the iteration, so that rows repeated after a kill fall onto
    themselves. Raises UserError when a tracker is not installed or cannot start.
    """
    if not names:
        yield watch
        return
    modules = {name: _module(name) for name in names}
    runs: list[Tracked] = []  # from when ours has its lease and begins

    def begin(execution: Execution) -> None:
        for name, module in modules.items():
            runs.append(TRACKERS[name].start(module, job, execution))
            watch.say(f"{job.run}: {name} {runs[-1].place}")
        watch.begin(execution)

    def row(values: Row) -> None:
        for run in runs:
            run.row(values)
        watch.row(values)

    def end(result: Result) -> None:
        for run in runs:
            run.end(result)
        watch.end(result)

    ended = False
    try:
        yield dataclasses.replace(watch, begin=begin, row=row, end=end)
        ended = True
    finally:
        for run in runs:
            run.close(ended)


def _folder(job: Job, name: str) -> Path:
    folder = job.cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write in {folder}: {error.strerror or error}") from error
    return folder


def _final(result: Result) -> dict[str, Any]:
    """The final values, under names that no curve has."""
    return {f"final/{name}": value for name, value in asdict(result).items()}


def _final_numbers(result: Result) -> dict[str, float]:
    return {name: float(v) for name, v in _final(result).items() if isinstance(v, int | float)}


def _described(job: Job, execution: Execution) -> dict[str, Any]:
    return {
        "spec": asdict(job.spec),
        "protocol": job.run.protocol,
        "execution": asdict(execution),
    }


def _wandb(mode: str, wandb: ModuleType, job: Job, execution: Execution) -> Tracked:
    config = _described(job, execution)
    try:
        run = wandb.init(
            project=PROJECT,
            id=run_id(job),
            name=str(job.run),
            resume="allow",
            mode=mode,
            dir=str(_folder(job, "wandb")),
            config={"spec": config["spec"], "protocol": config["protocol"]},
            settings=wandb.Settings(console="off", save_code=False, silent=True),
        )
    except (wandb.errors.Error, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"wandb cannot start ({reason}); try --track wandb") from error
    run.define_metric("*", step_metric="iteration")
    # A resumed run's execution differs from what was configured first.
    run.config.update({"execution": config["execution"]}, allow_val_change=True)
    written = Path(run.dir).parent
    append = "--append " if execution.resumed_at else ""
    return Tracked(
        row=lambda values: run.log(dict(values)),
        end=lambda result: run.summary.update(_final(result)),
        close=lambda ended: run.finish(exit_code=0 if ended else 1),
        place=f"online as {run_id(job)}"
        if mode == "online"
        else f"in {written}; upload it with: wandb sync {append}{written}",
    )


def _tensorboard(module: ModuleType, job: Job, execution: Execution) -> Tracked:
    folder = _folder(job, "tensorboard")
    resumed = execution.resumed_at[-1] + 1 if execution.resumed_at else None
    # What a killed process wrote past its checkpoint is dropped, as it is computed again.
    writer = module.SummaryWriter(str(folder / run_id(job)), purge_step=resumed)
    writer.add_text("run", f"{job.run}: {job.command}")

    def row(values: Row) -> None:
        for name, value in values.items():
            if name != "iteration":
                writer.add_scalar(name, value, int(values["iteration"]))
        writer.flush()

    def end(result: Result) -> None:
        for name, value in _final_numbers(result).items():
            writer.add_scalar(name, value, result.iterations)

    return Tracked(
        row=row,
        end=end,
        close=lambda ended: writer.close(),
        place=f"in {folder / run_id(job)}; show it with: tensorboard --logdir {folder}",
    )


def _trackio(trackio: ModuleType, job: Job, execution: Execution) -> Tracked:
    with contextlib.redirect_stdout(io.StringIO()):  # its greeting is no line of ours
        trackio.init(
            project=PROJECT,
            name=run_id(job),
            resume="allow",
            config=_described(job, execution),
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def row(values: Row) -> None:
        plain = {name: value for name, value in values.items() if name != "iteration"}
        trackio.log(plain, step=int(values["iteration"]))

    def close(ended: bool) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()

    return Tracked(
        row=row,
        end=lambda result: trackio.log(_final_numbers(result), step=result.iterations),
        close=close,
        place=f"in {trackio.utils.TRACKIO_DIR}; show it with: trackio show --project {PROJECT}; "
        f"upload it with: trackio sync --project {PROJECT}",
    )


TRACKERS = {
    "wandb": Tracker("wandb", "wandb", functools.partial(_wandb, "offline")),
    "wandb-online": Tracker("wandb", "wandb", functools.partial(_wandb, "online")),
    "tensorboard": Tracker("torch.utils.tensorboard", "tensorboard", _tensorboard),
    "trackio": Tracker("trackio", "trackio", _trackio),
}
