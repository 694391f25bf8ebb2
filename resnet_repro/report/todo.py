"""What is still to be done: runs and evaluations that artifacts want, and the hours of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.commands import run_command
from resnet_repro.markup import Grid
from resnet_repro.paper.artifacts import Arm, Artifact
from resnet_repro.paper.published import BATCHES, ITERATIONS, PAPER_PROTOCOL, published_for
from resnet_repro.records.metrics import EVALUATED
from resnet_repro.records.schema import RunId
from resnet_repro.report.load.evaluations import (
    CROPS,
    below,
    evaluations_wanted,
    wanted_command,
)
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.throughput import seconds_per_image

# Whose runs are to be recorded; a demo is anybody's own.
KEPT_PROTOCOLS = (PAPER_PROTOCOL, "imagenette")
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Missing:
    """A run that is not recorded. `wanted_by` names artifacts, `elsewhere` protocols it has."""

    run: RunId
    arm: Arm
    wanted_by: tuple[str, ...]
    elsewhere: tuple[str, ...]
    hours: dict[str, float]  # by machine

    @property
    def command(self) -> str:
        """As a record of it would name the command; folders are the user's own."""
        return run_command(self.wanted_by[0], self.arm.name, self.run.seed, self.run.protocol)


def seeds_wanted(artifact: Artifact, arm: Arm) -> int:
    """As many seeds as the artifact or its arm asks for, or as a published value stands for."""
    published = [
        value.n for key in artifact.published if key.arm == arm.name for value in published_for(key)
    ]
    return max([artifact.seeds, arm.seeds, *published])


def missing_runs(artifacts: Sequence[Artifact], frames: Frames) -> list[Missing]:
    """The runs that lack a record under the protocol their artifact asks for.

    One seed of everything before the second of anything, in the artifacts' order. What several
    artifacts want is named once; artifacts that are not to be recorded are left out.
    """
    wanted: dict[RunId, tuple[Arm, list[str]]] = {}
    for artifact in artifacts:
        if artifact.counted or artifact.protocol not in KEPT_PROTOCOLS:
            continue
        for arm in artifact.arms:
            for seed in range(seeds_wanted(artifact, arm)):
                run = RunId(arm.dataset, arm.name, artifact.protocol, seed)
                wanted.setdefault(run, (arm, []))[1].append(artifact.name)
    found = []
    hours: dict[tuple[str, str, str], dict[str, float]] = {}
    for run, (arm, names) in sorted(wanted.items(), key=lambda item: item[0].seed):
        has = frames.runs_of(run.dataset, run.arm)
        if any(r.id == run for r in has):
            continue
        elsewhere = sorted({r.protocol for r in has if r.seed == run.seed})
        key = (run.dataset, arm.network, run.protocol)
        if key not in hours:
            hours[key] = _hours(frames, *key)
        found.append(Missing(run, arm, tuple(names), tuple(elsewhere), hours[key]))
    return found


def _hours(frames: Frames, dataset: str, network: str, protocol: str) -> dict[str, float]:
    """Training hours by machine, tests left out.

    The paper's protocol has the paper's length, any other the length that runs under it were
    recorded with.
    """
    here = [run for run in frames.runs if (run.dataset, run.protocol) == (dataset, protocol)]
    crop = None
    if protocol == PAPER_PROTOCOL:
        images = ITERATIONS[dataset] * BATCHES[dataset]
    elif not here:
        return {}
    else:
        images = here[0].schedule * here[0].batch_size
        crop = here[0].crop
    paces = seconds_per_image(frames, dataset, network, crop)
    return {machine: seconds * images / 3600 for machine, seconds in paces.items()}


def lacking_evaluations(artifact: Artifact, frames: Frames) -> list[tuple[RunId, str]]:
    """Each finished run that an artifact wants evaluated and nobody has, with the command.

    An ensemble is none of a single run, so an artifact of ensembles lacks none here. A run that
    kept no weights cannot be studied any more, and lacks nothing either.
    """
    if artifact.ensemble:
        return []
    found = []
    for evaluation in evaluations_wanted(artifact):
        metric = next(name for name, m in EVALUATED.items() if m.evaluation == evaluation)
        for arm in artifact.arms:
            for run in frames.runs_of(arm.dataset, arm.name):
                kept = evaluation in CROPS or (run.folder / "weights.safetensors").is_file()
                if kept and run.unevaluated(metric):
                    found.append((run.id, wanted_command([below(run.id)], evaluation)))
    return found


def missing_evaluations(artifacts: Sequence[Artifact], frames: Frames) -> Grid:
    """The evaluations that artifacts want of recorded runs and nobody has made, each once."""
    wanted: dict[tuple[RunId, str], list[str]] = {}
    for artifact in artifacts:
        for key in lacking_evaluations(artifact, frames):
            wanted.setdefault(key, []).append(artifact.name)
    return Grid(
        ("run", "wanted by", "command"),
        tuple(
            (str(run), ", ".join(names), f"`{command}`") for (run, command), names in wanted.items()
        ),
    )


def _label(run: RunId) -> str:
    """A run in a reader's words; the data set where it is not the one most runs are on."""
    where = "" if run.dataset == "cifar10" else f" on {run.dataset}"
    return f"{run.arm} seed {run.seed}{where}, {run.protocol}"


def missing_grid(rows: Sequence[Missing]) -> Grid:
    """As cells of text; a column of hours for every machine with a record."""
    machines = sorted({name for row in rows for name in row.hours})
    columns = ("run", "wanted by", "recorded under", *(f"hours on {m}" for m in machines))
    return Grid(
        (*columns, "command"),
        tuple(
            (
                _label(row.run),
                ", ".join(row.wanted_by),
                ", ".join(row.elsewhere),
                *(f"{row.hours[m]:,.1f}" if m in row.hours else NOT_MEASURED for m in machines),
                f"`{row.command}`",
            )
            for row in rows
        ),
    )
