"""A run from its first or last saved step to a finished record."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch

from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.evaluate.layers import layer_responses
from resnet_repro.evaluate.single_view import recompute_bn
from resnet_repro.models.names import parse_cifar
from resnet_repro.records import provenance, schema, store
from resnet_repro.records.files import write_atomic
from resnet_repro.train import checkpoint
from resnet_repro.train.device import Device, computing, uncompiled
from resnet_repro.train.recipe import Recipe
from resnet_repro.train.trainer import Trainer

WEIGHTS_MAX_DEPTH = 56  # weights are kept for seed 0 of nets up to this depth


class Busy(UserError):
    """Another process is training this run."""


class Stopped(Exception):
    """The run was asked to stop; its checkpoint is saved."""


@dataclass(frozen=True)
class Job:
    """One run to be trained, and where things go."""

    run: schema.RunId
    spec: schema.Spec
    recipe: Recipe
    results: Path
    cache: Path
    device: Device
    command: str
    checkpoint_seconds: float = 30.0

    @property
    def folder(self) -> Path:
        """The record's folder."""
        return self.run.folder(self.results)

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints, outside the tree."""
        return self.cache / "runs" / self.spec.hash[:32]


@dataclass(frozen=True)
class Watch:
    """What to call as a run goes on; each does nothing unless given."""

    begin: Callable[[schema.Execution], None] = lambda execution: None
    step: Callable[[int], None] = lambda iteration: None
    row: Callable[[store.Row], None] = lambda row: None
    say: Callable[[str], None] = lambda text: None
    stop: Callable[[], bool] = lambda: False
    end: Callable[[schema.Result], None] = lambda result: None


@dataclass
class _Progress:
    """The record so far; everything in it travels in the checkpoint."""

    iteration: int = 0
    seconds: float = 0.0  # spent on training steps in the current interval
    started: str = ""
    resumed_at: list[int] = field(default_factory=list)
    earlier: list[dict[str, object]] = field(default_factory=list)  # how earlier sittings ran
    metrics: list[store.Row] = field(default_factory=list)
    timing: list[store.Row] = field(default_factory=list)
    gradients: list[store.Row] = field(default_factory=list)


def train(job: Job, data: Dataset, watch: Watch) -> schema.Result:
    """Train `job` to its end, from its newest checkpoint if there is one, and write its record.

    Raises Busy when another process has it, Stopped when `watch.stop()` says so (a checkpoint
    is saved first), UserError when a record of another spec is in the way or a file cannot be
    written.
    """
    with contextlib.ExitStack() as stack:
        for folder in (job.folder, job.checkpoints):
            stack.enter_context(_only_one(folder))
        stack.enter_context(computing(job.device))
        return _train(job, data, watch)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; the system releases it when the process ends, however it ends."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Busy(f"another process is training this run ({folder})") from None
    except OSError as error:
        raise UserError(
            f"cannot write in {folder}: {error.strerror or error}; give another folder"
        ) from error
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _train(job: Job, data: Dataset, watch: Watch) -> schema.Result:
    if (job.folder / "spec.json").exists() and store.read_spec(job.folder) != job.spec:
        raise UserError(
            f"{job.folder} holds a run of another spec: move it away or give another --results-dir"
        )
    for left in (*job.folder.glob(".*.tmp"), *job.checkpoints.glob(".*.tmp")):
        left.unlink()  # of a process that was killed while it wrote
    if store.is_done(job.folder):  # by another process, since this run was planned
        checkpoint.clear(job.checkpoints)
        return store.read_record(job.run, job.folder).result
    trainer = Trainer(job.spec.network, data, job.recipe, job.spec.seed, job.device)
    progress = _resume(job, trainer, watch)
    store.write_spec(job.folder, job.run, job.spec)
    execution = _execution(job, progress)
    store.write_execution(job.folder, execution)
    watch.begin(execution)
    watch.step(progress.iteration)
    status = _steps(job, trainer, progress, watch)
    result = _finish(job, trainer, progress, execution, status)
    checkpoint.clear(job.checkpoints)
    watch.end(result)
    return result


def _steps(job: Job, trainer: Trainer, progress: _Progress, watch: Watch) -> str:
    """Train to the end or to a loss that is not finite; returns the status."""
    recipe = job.recipe
    saved = clock = time.monotonic()
    while progress.iteration < recipe.iterations:
        trainer.step(progress.iteration)
        progress.iteration += 1
        watch.step(progress.iteration)
        if progress.iteration % recipe.row_every == 0 or progress.iteration == recipe.iterations:
            loss, error = _interval(job, trainer, progress, clock)
            row = _measure(job, trainer, progress, loss, error)
            watch.row(row)
            clock = time.monotonic()
            if not math.isfinite(loss):
                return "diverged"
        stop = watch.stop() and progress.iteration < recipe.iterations
        if stop or time.monotonic() - saved >= job.checkpoint_seconds:
            now = time.monotonic()
            progress.seconds += now - clock
            _save(job, trainer, progress)
            saved = clock = time.monotonic()
        if stop:
            raise Stopped(f"{job.run}: stopped and saved at iteration {progress.iteration}")
    return "done"


def _interval(job: Job, trainer: Trainer, progress: _Progress, clock: float) -> tuple[float, float]:
    """Training loss and error of the interval that ends here; notes how long it took."""
    past = progress.metrics[-1]["iteration"] if progress.metrics else 0
    steps = int(progress.iteration - past)
    loss, error = trainer.take_interval(steps)  # waits for the device
    seconds = progress.seconds + time.monotonic() - clock
    progress.seconds = 0.0
    progress.timing.append(
        {
            "iteration": progress.iteration,
            "seconds": round(seconds, 3),
            "images_per_second": round(steps * job.recipe.batch_size / seconds, 1),
        }
    )
    return loss, error


def _measure(
    job: Job, trainer: Trainer, progress: _Progress, loss: float, error: float
) -> store.Row:
    """Test the network, note the row, and write the record's tables."""
    recipe = job.recipe
    norms = trainer.gradient_norms()
    if progress.iteration == recipe.iterations and recipe.bn_statistics == "recomputed":
        with uncompiled(job.device):
            recompute_bn(trainer.model, trainer.pixels)
    test_loss, test_error = trainer.test()
    row: store.Row = {
        "iteration": progress.iteration,
        "lr": trainer.rate(progress.iteration),
        "train_loss": loss,
        "train_error": error,
        "test_loss": test_loss,
        "test_error": test_error,
    }
    progress.metrics.append(row)
    progress.gradients.append({"iteration": progress.iteration, **norms})
    store.write_table(job.folder / "metrics.csv", schema.METRICS, progress.metrics)
    store.write_table(job.folder / "timing.csv", schema.TIMING, progress.timing)
    store.write_table(job.folder / "gradients.csv", schema.GRADIENTS, progress.gradients)
    return row


def _save(job: Job, trainer: Trainer, progress: _Progress) -> None:
    tensors, plain = trainer.state()
    rest: dict[str, object] = {
        "trainer": plain,
        "progress": dataclasses.asdict(progress),
        "hash": job.spec.hash,
        "sitting": _sitting(job),
    }
    checkpoint.save(job.checkpoints, checkpoint.Checkpoint(progress.iteration, tensors, rest))


def _resume(job: Job, trainer: Trainer, watch: Watch) -> _Progress:
    """Go on from the newest whole checkpoint, or start."""
    found = checkpoint.load_newest(job.checkpoints, watch.say)
    if found is None:
        if (job.folder / "metrics.csv").exists():
            watch.say(f"{job.run}: no checkpoint in {job.checkpoints}, so it starts again")
        return _Progress(started=provenance.utc_now())
    try:
        if found.rest["hash"] != job.spec.hash:
            raise ValueError("another spec")
        trainer.load(found.tensors, found.rest["trainer"])  # type: ignore[arg-type]
        progress = _Progress(**found.rest["progress"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the checkpoint in {job.checkpoints} is not of this run: remove that folder"
        ) from error
    progress.resumed_at.append(progress.iteration)
    progress.earlier.append({"until": progress.iteration, **found.rest.get("sitting", {})})  # type: ignore[dict-item]
    watch.say(f"{job.run}: resumed at iteration {progress.iteration}")
    return progress


def _sitting(job: Job) -> dict[str, Any]:
    """How the steps of this sitting are computed; a later one may compute differently."""
    commit, dirty = provenance.commit()
    return {
        "device": job.device.kind,
        "device_name": job.device.name,
        "precision": job.device.precision,
        "threads": job.device.threads,
        "kernels": job.device.kernels,
        "compile": job.device.compile,
        "cuda_graph": job.device.graph,
        "commit": commit,
        "dirty": dirty,
    }


def _execution(job: Job, progress: _Progress) -> schema.Execution:
    return schema.Execution(
        versions=provenance.versions(),
        channels_last=True,
        world_size=1,
        command=job.command,
        started=progress.started,
        resumed_at=tuple(progress.resumed_at),
        earlier=tuple(progress.earlier),
        **_sitting(job),
    )


def _finish(
    job: Job,
    trainer: Trainer,
    progress: _Progress,
    execution: schema.Execution,
    status: str,
) -> schema.Result:
    """Measure what is measured once, and write the record's last files."""
    with uncompiled(job.device):
        responses = layer_responses(trainer.model, trainer.pixels)
    store.write_table(
        job.folder / "layers.csv",
        schema.LAYERS,
        [{"layer": i, "name": name, "std": std} for i, (name, std) in enumerate(responses, 1)],
    )
    parameters = sum(p.numel() for p in trainer.model.parameters())
    rounded = _write_weights(job, trainer) if status == "done" else None
    last = progress.metrics[-1]
    tested = [r for r in progress.metrics if math.isfinite(r["test_error"])]
    best = min(tested, key=lambda r: r["test_error"], default=None)
    store.write_execution(job.folder, dataclasses.replace(execution, ended=provenance.utc_now()))
    files = sorted(p for p in job.folder.iterdir() if p.suffix in (".csv", ".safetensors"))
    result = schema.Result(
        status=status,
        spec_hash=job.spec.hash,
        iterations=progress.iteration,
        parameters=parameters,
        train_loss=schema.finite(last["train_loss"]),
        train_error=schema.finite(last["train_error"]),
        test_loss=schema.finite(last["test_loss"]),
        test_error=schema.finite(last["test_error"]),
        best_test_error=best["test_error"] if best else None,
        best_test_iteration=int(best["iteration"]) if best else None,
        warmup_ended=trainer.warmup_ended,
        half_precision_test_error=rounded,
        files={path.name: store.file_digest(path) for path in files},
    )
    store.write_result(job.folder, result)
    return result


def _write_weights(job: Job, trainer: Trainer) -> float | None:
    """Keep the final weights in half precision; returns the test error they give, in %.

    BN's statistics stay as they are: a variance of pixels up to 255 can outgrow half precision.
    """
    if job.spec.seed != 0 or parse_cifar(job.spec.network).depth > WEIGHTS_MAX_DEPTH:
        return None
    weights = dict(trainer.model.named_parameters())
    half = {
        name: (value.half() if name in weights else value).detach().cpu().contiguous()
        for name, value in trainer.model.state_dict().items()
    }
    write_atomic(job.folder / "weights.safetensors", safetensors.torch.save(half))
    trainer.model.load_state_dict(half)
    return trainer.test()[1]
