"""What `run` does: plan (what exists, what is missing, how long), then train what is missing.

Planning needs no data and no torch; a run belongs to no artifact, so what another artifact has
trained is found here and skipped.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resnet_repro.commands import run_command
from resnet_repro.errors import UserError
from resnet_repro.models.cost import seconds_per_work, work_per_image
from resnet_repro.models.names import CifarName, parse
from resnet_repro.paper.artifacts import Arm, Artifact
from resnet_repro.paths import LOCAL, RECORDED
from resnet_repro.records import schema, store
from resnet_repro.records.datasets import DATASETS, Facts
from resnet_repro.records.state import run_state
from resnet_repro.sweep.launcher import Emit, in_turn, shared, side_by_side, stop_signals
from resnet_repro.train.recipe import (
    RECIPE_VERSION,
    ImageRecipe,
    Recipe,
    protocol_label,
    recipe_for,
)

if TYPE_CHECKING:
    from resnet_repro.data.imagefolder.statistics import Corrupt
    from resnet_repro.runtime.device import Device
    from resnet_repro.runtime.distributed import World
    from resnet_repro.train.job import Job
    from resnet_repro.train.sources import Data


@dataclass(frozen=True)
class Request:
    """Which runs of an artifact are asked for."""

    artifact: Artifact
    arms: tuple[str, ...] = ()  # empty: all
    seeds: tuple[int, ...] = (0,)
    protocol: str | None = None  # None: the artifact's own
    iterations: int | None = None
    changes: tuple[tuple[str, str], ...] = ()
    dataset: str | None = None  # instead of the arms' own
    results: Path = LOCAL
    cache: Path | None = None  # where checkpoints may lie; None: beside the records alone


@dataclass(frozen=True)
class Planned:
    """One run of the plan.

    state: as `records.state` says, `done` also for a run that diverged, and `conflict` where a
    record of another spec is in the way. It would go on from `iteration`.
    """

    run: schema.RunId
    arm: Arm
    recipe: Recipe
    state: str
    iteration: int = 0
    detail: str = ""
    seconds: float | None = None  # of one device, still to train; None: nothing to judge by
    work: float = 0.0  # still to do, in the unit of `models.cost`; 0: unknown


def plan(request: Request, device_kind: str) -> list[Planned]:
    """The runs asked for and the state of each: one seed of every arm before the next seed.

    The data are not read, so a record is matched by everything but its data's digest.
    Raises UserError for an unknown arm or protocol, a negative seed, and an artifact that is
    counted.
    """
    artifact = request.artifact
    if artifact.counted:
        raise UserError(
            f"{artifact.name} is counted, not trained: see `compare {artifact.name}`, or count "
            f"a network anew with `describe {artifact.arms[0].network}`"
        )
    for seed in request.seeds:
        if not 0 <= seed < 2**63:
            raise UserError(f"seed {seed}: seeds are 0, 1, 2, ...")
    arms = [artifact.arm(name) for name in request.arms] or list(artifact.arms)
    if request.dataset is not None:
        arms = [dataclasses.replace(arm, dataset=request.dataset) for arm in arms]
    rates = measured_rates([request.results, RECORDED], device_kind)
    planned = []
    for seed in dict.fromkeys(request.seeds):
        for arm in dict.fromkeys(arms):
            changes = dict(request.changes) | dict(arm.changes)
            recipe = recipe_for(
                request.protocol or artifact.protocol,
                arm.network,
                iterations=request.iterations,
                changes=changes,
            )
            label = protocol_label(
                request.protocol or artifact.protocol, request.iterations, dict(request.changes)
            )
            run = schema.RunId(arm.dataset, arm.name, schema.check_label(label), seed)
            planned.append(_state(Planned(run, arm, recipe, "missing"), request, None, rates))
    return planned


def total_seconds(planned: Sequence[Planned]) -> float | None:
    """What a plan takes on one device, one run after another; None if that of a run is unknown."""
    known = [p.seconds for p in planned if p.seconds is not None]
    return sum(known) if len(known) == len(planned) else None


def _state(run: Planned, request: Request, digest: str | None, rates: dict[str, float]) -> Planned:
    folder = run.run.folder(request.results)
    found = run_state(run.run, folder, request.cache)
    if found.state == "broken":
        return dataclasses.replace(run, state="broken", detail=found.detail)
    if found.spec and found.spec != make_spec(run, digest or found.spec.dataset_digest):
        detail = f"{folder} holds a run of another spec"
        return dataclasses.replace(run, state="conflict", detail=detail)
    if found.state in ("done", "diverged"):
        return dataclasses.replace(run, state="done", iteration=found.iteration, seconds=0.0)
    run = dataclasses.replace(run, state=found.state, iteration=found.iteration)
    left = run.recipe.iterations - found.iteration
    rate = rates.get(kind_of(run.arm.network, run.arm.dataset))
    crop = run.recipe.crop if isinstance(run.recipe, ImageRecipe) else None
    work = work_per_image(run.arm.network, crop)
    if work is None:
        return run
    work *= left * run.recipe.batch_size + _tested(run, left)
    return dataclasses.replace(run, work=work, seconds=None if rate is None else rate * work)


def longest_first(planned: Sequence[Planned]) -> list[Planned]:
    """Runs by what is left of them, so that no long one is begun last."""
    known = all(p.seconds is not None for p in planned)
    return sorted(planned, key=lambda p: (p.seconds or 0.0) if known else p.work, reverse=True)


def _tested(run: Planned, left: int) -> float:
    """What the tests at the rows still to come cost, in images trained on.

    A forward pass is a third of a step's work. A row is a test with BN's averaged statistics and
    one with its moving averages, after a pass over the images that are averaged over.
    """
    recipe = run.recipe
    data = DATASETS.get(run.arm.dataset, Facts())
    train, test = data.train, data.test
    averaged = recipe.bn_statistics == "averaged"
    images = 2 * test + min(recipe.bn_images, train) if averaged else test
    return math.ceil(left / recipe.row_every) * images / 3


def make_spec(run: Planned, digest: str) -> schema.Spec:
    """The spec of a planned run on the copy of its data set with that digest."""
    recipe = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(run.recipe).items()
    }
    return schema.Spec(
        run.arm.network, run.arm.dataset, digest, recipe, RECIPE_VERSION, run.run.seed
    )


def kind_of(network: str, dataset: str) -> str:
    """Whose measured pace tells something of such a run's."""
    return dataset if isinstance(parse(network), CifarName) else "photographs"


def measured_rates(folders: list[Path], device_kind: str) -> dict[str, float]:
    """Seconds of one device per unit of work, by kind, from the finished runs on such devices."""
    seen: dict[str, list[float]] = {}
    for folder in dict.fromkeys(folders):
        for run, path in store.find_runs(folder):
            if not store.is_done(path):
                continue
            try:
                record = store.read_record(run, path)
                rows = store.read_table(path / "timing.csv", schema.TIMING)
                pace = [float(row["images_per_second"]) for row in rows]
                seconds = seconds_per_work(record.spec.network, record.recipe.crop, pace)
            except (UserError, ValueError):
                continue  # `verify` names it; an estimate does without
            if record.execution.device == device_kind and seconds:
                kind = kind_of(record.spec.network, record.spec.dataset)
                seen.setdefault(kind, []).append(record.execution.world_size * seconds)
    return {kind: statistics.median(found) for kind, found in seen.items()}


def refuse_unusable(planned: list[Planned]) -> None:
    """Raise UserError, before anything is trained, if a record is broken or in the way."""
    bad = [p for p in planned if p.state in ("broken", "conflict")]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise UserError(
            f"{bad[0].run} is {bad[0].state}: {bad[0].detail}{more}; "
            "move it away or give another --results-dir"
        )


@dataclass(frozen=True)
class Settings:
    """How runs are computed; none of it changes what they are."""

    device: Device
    data_root: Path | None
    cache: Path
    results: Path
    jobs: int = 1
    share: bool = False  # with other processes that see the results folder
    checkpoint_seconds: float = 30.0
    trackers: tuple[str, ...] = ()  # some of train.loggers.TRACKERS
    corrupt: Corrupt = "fail"  # image files that cannot be read


def of_photographs(artifact: Artifact) -> bool:
    """Whether its networks are ImageNet's, which train on image files."""
    return not isinstance(parse(artifact.arms[0].network), CifarName)


def execute(
    request: Request,
    settings: Settings,
    emit: Emit,
    say: Callable[[str], None] = print,
    world: World | None = None,
) -> dict[schema.RunId, str]:
    """Train what the plan lacks; returns how each run ended, in the plan's order.

    `done`, `diverged`, `kept` (finished before), `busy` (another process has it), `stopped`
    (by a signal, checkpoint saved) or `failed`. `say` is told of what precedes the runs.
    Where several processes train together, each calls this with its `world`; the first one's plan
    holds.
    Raises UserError before anything is trained when the plan or the data are unusable, and when
    a run meets one (a full disk, say); the other runs are then saved and stopped. Where the plan is
    shared, the run is `failed`, and the others go on.
    """
    from resnet_repro.runtime.distributed import SINGLE_PROCESS
    from resnet_repro.train.trainer import check_grad_accum

    world = world or SINGLE_PROCESS

    def usable() -> list[Planned]:
        if world.size > 1 and (settings.jobs > 1 or not of_photographs(request.artifact)):
            raise UserError(
                "several processes train an ImageNet network together; start CIFAR runs and "
                "--jobs without torchrun"
            )
        planned = plan(request, settings.device.kind)
        refuse_unusable(planned)
        for run in planned:
            if run.state != "done":
                check_grad_accum(run.recipe, settings.device, world)
        return planned

    planned = world.on_main_process(usable)
    if world.first:
        _clear_finished(planned, settings)
    ends = {p.run: "kept" for p in planned if p.state == "done"}
    todo = [p for p in planned if p.state != "done"]
    todo = longest_first(todo) if settings.share else todo
    if todo:
        data = _load_all(todo, settings, say, world)
        jobs = [_job(request, p, data[p.arm.dataset], settings) for p in todo]

        def still_usable() -> None:  # once more, now that the digests are known
            for run in todo:
                digest = data[run.arm.dataset].digest
                refuse_unusable([_state(run, request, digest, {})])

        world.on_main_process(still_usable)
        with stop_signals() as stop:

            def launch(jobs: list[Job]) -> dict[schema.RunId, str]:
                rest = (data, emit, settings.trackers)
                if settings.jobs == 1:
                    return in_turn(jobs, *rest, world, stop, go_on=settings.share)
                return side_by_side(jobs, *rest, settings.jobs, stop, go_on=settings.share)

            ends |= shared(jobs, launch, world, stop) if settings.share else launch(jobs)
    return {p.run: ends.get(p.run, "stopped") for p in planned}


def _clear_finished(planned: Sequence[Planned], settings: Settings) -> None:
    """What a kill between a run's last file and its end has left goes when the run is met again."""
    from resnet_repro.records.state import checkpoint_folders
    from resnet_repro.train.loop import clear_finished

    for run in planned:
        folder = run.run.folder(settings.results)
        if run.state == "done":
            spec = store.read_spec(folder)
            clear_finished(folder, checkpoint_folders(folder, settings.cache, spec))


def _load_all(
    todo: list[Planned], settings: Settings, say: Callable[[str], None], world: World
) -> dict[str, Data]:
    from resnet_repro.train.sources import Reading, load_data

    reading = Reading(
        settings.data_root, settings.cache, settings.corrupt, settings.device.workers, say
    )
    # The runs of one request share what their recipes say of images.
    recipes = {run.arm.dataset: run.recipe for run in todo}
    return {name: load_data(name, recipes[name], reading, world) for name in sorted(recipes)}


def _job(request: Request, run: Planned, data: Data, settings: Settings) -> Job:
    from resnet_repro.train.job import Job

    return Job(
        run=run.run,
        spec=make_spec(run, data.digest),
        recipe=run.recipe,
        results=settings.results,
        cache=settings.cache,
        device=settings.device,
        command=rerun_command(request, run, settings.corrupt),
        checkpoint_seconds=settings.checkpoint_seconds,
        shared=settings.share,
    )


def rerun_command(request: Request, planned: Planned, corrupt: Corrupt = "fail") -> str:
    """The command that repeats one run; folders are the user's own and left out."""
    return run_command(
        request.artifact.name,
        planned.arm.name,
        planned.run.seed,
        request.protocol or request.artifact.protocol,
        iterations=request.iterations,
        dataset=request.dataset,
        corrupt=corrupt,
        changes=request.changes,
    )
