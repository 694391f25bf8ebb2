"""A run from its first or last saved step to a finished record."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.errors import UserError
from resnet_repro.records import provenance, schema, store
from resnet_repro.records.files import remove
from resnet_repro.records.lease import LOCK, held, is_held
from resnet_repro.runtime.compilation import compiling
from resnet_repro.runtime.device import computing, followed
from resnet_repro.runtime.distributed import SINGLE_PROCESS, World
from resnet_repro.train import checkpoint, recorder
from resnet_repro.train.job import Job, Progress
from resnet_repro.train.sources import Data
from resnet_repro.train.trainer import Trainer

SAVING = 0.01  # of the time, at most, unless checkpoints are asked for after every step


class Stopped(Exception):
    """The run was asked to stop; its checkpoint is saved."""


@dataclass(frozen=True)
class Watch:
    """What to call as a run goes on; each does nothing unless given."""

    begin: Callable[[schema.Execution], None] = lambda execution: None
    step: Callable[[int], None] = lambda iteration: None
    row: Callable[[store.Row], None] = lambda row: None
    say: Callable[[str], None] = lambda text: None
    stop: Callable[[], bool] = lambda: False
    end: Callable[[schema.Result], None] = lambda result: None


def train(job: Job, data: Data, watch: Watch, world: World = SINGLE_PROCESS) -> schema.Result:
    """Train `job` to its end, from its newest checkpoint if there is one, and write its record.

    With several processes each calls this with the same job; the first one alone reads and
    writes files, and all stop together. Raises Busy when another process has it, TakenOver before
    anything is written when another has it by now, Stopped when `watch.stop()` says so (a
    checkpoint is saved first), UserError when a record of another spec is in the way or a file
    cannot be written.
    """
    checks: list[Callable[[], None]] = []  # of the first process: whether its leases are its own

    def check() -> None:
        for still in checks:
            still()

    with contextlib.ExitStack() as stack:
        stack.enter_context(computing(job.device))
        finished = world.on_main_process(lambda: _begin(job, stack, checks, watch.say))
        if finished is not None:
            return finished
        earlier = world.on_main_process(lambda: store.read_execution(job.folder))
        if earlier is not None:
            job = dataclasses.replace(job, device=followed(job.device, earlier))
        trainer = Trainer(job.spec.network, data, job.recipe, job.spec.seed, job.device, world)
        stack.callback(trainer.source.close)
        return _train(job, data, trainer, watch, check)


def clear_finished(folder: Path, checkpoints: Sequence[Path]) -> None:
    """Remove what a process left that was killed after a run's `result.json`, if it can be done.

    checkpoints: beside the record, and in the cache. What a process holds is left to it.
    """
    places = (folder, *checkpoints)
    left = [path for place in places for path in place.glob(".*.tmp")]
    left += [path for place in checkpoints for path in place.glob("*.checkpoint")]
    if any(is_held(place) for place in places) or not (left or (folder / LOCK).exists()):
        return
    with contextlib.suppress(UserError), contextlib.ExitStack() as stack:
        _take(folder, checkpoints, stack, lambda text: None)
        _clear(checkpoints)


def _take(
    folder: Path,
    checkpoints: Sequence[Path],
    stack: contextlib.ExitStack,
    say: Callable[[str], None],
) -> list[Callable[[], None]]:
    """Hold the leases of a run's folders until `stack` ends; unfinished files in them are removed.

    They are of a process that was killed while it wrote. Returns what asks for each lease.
    """
    inside, cached = checkpoints
    checks = [stack.enter_context(held(place, say)) for place in (folder, cached)]
    for left in (path for place in (folder, inside, cached) for path in place.glob(".*.tmp")):
        remove(left)
    return checks


def _begin(
    job: Job,
    stack: contextlib.ExitStack,
    checks: list[Callable[[], None]],
    say: Callable[[str], None],
) -> schema.Result | None:
    """Take hold of the run's folders until `stack` ends; `checks` gets what asks for each lease.

    Returns its result if another process has finished it since it was planned.
    """
    checks += _take(job.folder, job.checkpoint_folders, stack, say)
    if (job.folder / "spec.json").exists() and store.read_spec(job.folder) != job.spec:
        raise UserError(
            f"{job.folder} holds a run of another spec: move it away or give another --results-dir"
        )
    if not store.is_done(job.folder):
        return None
    _clear(job.checkpoint_folders)
    return store.read_record(job.run, job.folder).result


def _clear(checkpoints: Sequence[Path]) -> None:
    checkpoint.clear(*checkpoints)
    with contextlib.suppress(OSError):  # there is none, or something else is in it
        checkpoints[0].rmdir()


def _train(
    job: Job, data: Data, trainer: Trainer, watch: Watch, check: Callable[[], None]
) -> schema.Result:
    first = trainer.world.first
    progress = _resume(job, trainer, watch)
    execution = recorder.execution(job, progress, trainer, data)
    trainer.world.on_main_process(check)
    if first:
        store.write_spec(job.folder, job.run, job.spec)
        store.write_execution(job.folder, execution)
    watch.begin(execution)
    watch.step(progress.iteration)
    status = _steps(job, trainer, progress, watch, check)
    result = recorder.finish(job, trainer, data, progress, execution, status, watch.say, check)
    if first:
        _clear(job.checkpoint_folders)
    watch.end(result)
    return result


def _steps(
    job: Job, trainer: Trainer, progress: Progress, watch: Watch, check: Callable[[], None]
) -> schema.Status:
    """Train to the end or to a loss that is not finite; returns the status.

    check: called by the first process before each write; raises TakenOver.
    """
    recipe = job.recipe
    saved = clock = time.monotonic()
    apart = job.checkpoint_seconds
    start, tested = progress.iteration, False
    while progress.iteration < recipe.iterations:
        following = progress.iteration + 1
        row_due = following % recipe.row_every == 0 or following == recipe.iterations
        # Of the weights that the gradient was taken at: plain nets' first steps change them much.
        weights = trainer.weight_norms() if row_due or following == 1 else {}
        with _compiling(job, trainer, watch, first=progress.iteration == start):
            trainer.step(progress.iteration)
        progress.iteration = following
        watch.step(progress.iteration)
        if row_due or following == 1:
            _note_norms(trainer, progress, weights)
        if row_due:
            loss, error = _interval(job, trainer, progress, clock)
            with _compiling(job, trainer, watch, first=not tested):
                row = _measure(job, trainer, progress, (loss, error), check)
            tested = True
            watch.row(row)
            clock = time.monotonic()
            if not math.isfinite(loss):
                return "diverged"
        ending = progress.iteration == recipe.iterations
        due = trainer.world.first and time.monotonic() - saved >= apart
        stop, due = trainer.world.any(watch.stop() and not ending, due)
        if stop or due:
            trainer.wait()  # else the steps that are still queued would count as saving
            now = time.monotonic()
            progress.seconds += now - clock
            _save(job, trainer, progress, check)
            saved = clock = time.monotonic()
            if apart:  # 0: after every step
                apart = max(job.checkpoint_seconds, (saved - now) / SAVING)
        if stop:
            raise Stopped(f"{job.run}: stopped and saved at iteration {progress.iteration}")
    return "done"


def _compiling(
    job: Job, trainer: Trainer, watch: Watch, *, first: bool
) -> contextlib.AbstractContextManager[None]:
    """Around a step or test, whose first compiles: of runs side by side one does so for all.

    Processes that train one network must not wait for each other here; in the step they do.
    """
    if not first or not job.device.compile or trainer.world.size > 1:
        return contextlib.nullcontext()
    return compiling(job.cache, watch.stop)


def _interval(job: Job, trainer: Trainer, progress: Progress, clock: float) -> tuple[float, float]:
    """Training loss and error of the interval that ends here; notes how long it took."""
    past = progress.metrics[-1]["iteration"] if progress.metrics else 0
    steps = int(progress.iteration - past)
    loss, error = trainer.pop_train_metrics(steps)  # waits for the device
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


def _note_norms(trainer: Trainer, progress: Progress, weights: dict[str, float]) -> None:
    progress.gradients.append(
        {
            "iteration": progress.iteration,
            **trainer.gradient_norms(),
            **{f"{stage}_weights": norm for stage, norm in weights.items()},
        }
    )


def _measure(
    job: Job,
    trainer: Trainer,
    progress: Progress,
    training: tuple[float, float],
    check: Callable[[], None],
) -> store.Row:
    """Test the network, note the row, and write the record's tables.

    training: loss and error of the interval that ends here.
    """
    tested = trainer.test()
    row: store.Row = {
        "iteration": progress.iteration,
        "lr": trainer.rate(progress.iteration),
        "train_loss": training[0],
        "train_error": training[1],
        "test_loss": tested.loss,
        "test_error": tested.error,
        "test_error_moving": tested.error_moving,
    }
    progress.metrics.append(row)
    trainer.world.on_main_process(check)
    if trainer.world.first:
        recorder.write_tables(job, progress)
    return row


def _save(job: Job, trainer: Trainer, progress: Progress, check: Callable[[], None]) -> None:
    trainer.world.on_main_process(check)
    if not trainer.world.first:
        return
    tensors, plain = trainer.state()
    rest: dict[str, object] = {
        "trainer": plain,
        "progress": dataclasses.asdict(progress),
        "hash": job.spec.hash,
        "sitting": recorder.sitting(job),
    }
    checkpoint.save(job.checkpoints, checkpoint.Checkpoint(progress.iteration, tensors, rest))


def _resume(job: Job, trainer: Trainer, watch: Watch) -> Progress:
    """Go on from the newest whole checkpoint, or start."""
    found = trainer.world.on_main_process(
        lambda: checkpoint.load_newest(watch.say, *job.checkpoint_folders)
    )
    if found is None:
        if trainer.world.first and (job.folder / "metrics.csv").exists():
            watch.say(f"{job.run}: no checkpoint in {job.checkpoints}, so it starts again")
        return Progress(started=provenance.utc_now())
    try:
        if found.rest["hash"] != job.spec.hash:
            raise ValueError("another spec")
        trainer.load(found.tensors, found.rest["trainer"])  # type: ignore[arg-type]
        progress = Progress(**found.rest["progress"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"the checkpoint in {job.checkpoints} is not of this run: remove that folder"
        ) from error
    progress.resumed_at.append(progress.iteration)
    progress.earlier.append({"until": progress.iteration, **found.rest.get("sitting", {})})  # type: ignore[dict-item]
    watch.say(f"{job.run}: resumed at iteration {progress.iteration}")
    return progress
