"""Which runs the artifacts still want, the command for each, and the hours it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.artifacts import Arm, Artifact
from resnet_repro.paper.published import CIFAR_BATCH, CIFAR_ITERATIONS, published_for
from resnet_repro.records.schema import RunId
from resnet_repro.report.frames import Frames
from resnet_repro.report.pace import seconds_per_image
from resnet_repro.report.render import Grid

PROTOCOL = "paper"  # what the artifacts of the paper ask for


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
        return (
            f"python -m resnet_repro run {self.wanted_by[0]} --arms {self.arm.name} "
            f"--seeds {self.run.seed} --protocol {self.run.protocol}"
        )


def seeds_wanted(artifact: Artifact, arm: Arm) -> int:
    """As many seeds as the artifact asks for, or as a published value of the arm stands for."""
    published = [
        value.n for key in artifact.published if key.arm == arm.name for value in published_for(key)
    ]
    return max([artifact.seeds, *published])


def missing_runs(artifacts: Sequence[Artifact], frames: Frames) -> list[Missing]:
    """The runs under the paper's protocol that lack a record.

    One seed of everything before the second of anything, in the artifacts' order. What several
    artifacts want is named once; artifacts with a protocol of their own are left out.
    """
    wanted: dict[RunId, tuple[Arm, list[str]]] = {}
    for artifact in artifacts:
        if artifact.counted or artifact.protocol != PROTOCOL:
            continue
        for arm in artifact.arms:
            for seed in range(seeds_wanted(artifact, arm)):
                run = RunId(arm.dataset, arm.name, PROTOCOL, seed)
                wanted.setdefault(run, (arm, []))[1].append(artifact.name)
    found = []
    paces: dict[str, dict[str, float]] = {}
    for run, (arm, names) in sorted(wanted.items(), key=lambda item: item[0].seed):
        has = frames.runs_of(run.dataset, run.arm)
        if any((r["protocol"], r["seed"]) == (PROTOCOL, run.seed) for r in has):
            continue
        elsewhere = sorted({str(r["protocol"]) for r in has if r["seed"] == run.seed})
        if arm.network not in paces:
            paces[arm.network] = seconds_per_image(frames, arm.network)
        hours = {
            machine: seconds * CIFAR_ITERATIONS * CIFAR_BATCH / 3600
            for machine, seconds in paces[arm.network].items()
        }
        found.append(Missing(run, arm, tuple(names), tuple(elsewhere), hours))
    return found


def missing_grid(rows: Sequence[Missing]) -> Grid:
    """As cells of text; a column of hours for every machine with a record."""
    machines = sorted({name for row in rows for name in row.hours})
    columns = ("run", "wanted by", "recorded under", *(f"hours on {m}" for m in machines))
    return Grid(
        (*columns, "command"),
        tuple(
            (
                f"{row.arm.name} seed {row.run.seed}, {row.run.protocol}",
                ", ".join(row.wanted_by),
                ", ".join(row.elsewhere),
                *(f"{row.hours[m]:,.1f}" if m in row.hours else "" for m in machines),
                f"`{row.command}`",
            )
            for row in rows
        ),
    )
