"""What `compare` and the end of `run` show: the paper, the suite and the user's own runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnet_repro.markup import Grid
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.report import render
from resnet_repro.report.claims import ClaimRow, claim_rows
from resnet_repro.report.columns import CLAIMS, SIDE_BY_SIDE, plain_rows, text_grid
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.sections.other_reproductions import (
    TITLE,
    Reported,
    reported,
    reproductions_grid,
    reproductions_rows,
)
from resnet_repro.report.side_by_side import SideBySide, agreement, side_by_side, twins
from resnet_repro.report.tables import table_joint
from resnet_repro.report.verdicts.joint import Joint


@dataclass(frozen=True)
class Comparison:
    """An artifact, or the arms of it that were asked for, side by side.

    joints: either side's joint test; claims: of the user's runs; agreement: whether this
    installation computes the same, in lines; copies: what other reproductions report.
    """

    artifact: Artifact
    rows: tuple[SideBySide, ...]
    joints: tuple[tuple[str, Joint | None], ...]
    claims: tuple[ClaimRow, ...]
    agreement: tuple[str, ...]
    copies: tuple[Reported, ...]


def compare_records(
    artifact: Artifact, suite_dir: Path, yours_dir: Path, protocol: str | None = None
) -> Comparison:
    """The artifact as the suite has recorded it and as the user has.

    protocol: that one alone. Raises UserError for a damaged record.
    """
    suite, yours = (read_frames([folder], artifact) for folder in (suite_dir, yours_dir))
    rows = side_by_side(artifact, suite, yours, protocol)
    same = [t for t in twins(artifact, suite, yours) if protocol in (None, t.run.protocol)]
    return Comparison(
        artifact,
        tuple(rows),
        (
            ("suite", table_joint(artifact, [row.suite for row in rows], suite)),
            ("yours", table_joint(artifact, [row.yours for row in rows], yours)),
        ),
        tuple(c for c in claim_rows(artifact, yours) if protocol in (None, c.protocol)),
        tuple(agreement(rows, same)),
        tuple(_copies(artifact, suite, yours)),
    )


def _copies(artifact: Artifact, suite: Frames, yours: Frames) -> list[Reported]:
    """Of the artifact's own networks on CIFAR-10; of those nobody has copied, nothing."""
    names = {arm.name for arm in artifact.arms if arm.dataset == "cifar10" and not arm.changes}
    return [row for row in reported(suite, yours) if row.arm in names]


def comparison_grids(found: Comparison, *, copies: bool = False) -> list[tuple[str, Grid]]:
    """Its tables as cells of text, each with its title; claims where some of them can be judged."""
    grids = [(found.artifact.title, text_grid(SIDE_BY_SIDE, found.rows))]
    judged = [row for row in found.claims if row.result.verdict != "missing"]
    if judged:
        grids.append(("Claims, of your runs", text_grid(CLAIMS, judged)))
    if copies and found.copies:
        grids.append((TITLE, reproductions_grid(found.copies)))
    return grids


def comparison_lines(found: Comparison) -> list[str]:
    """What is said below its tables."""
    tests = [f"{whose}: {render.joint_text(joint)}" for whose, joint in found.joints if joint]
    return [*tests, *found.agreement]


def comparison_json(found: Comparison, *, copies: bool = False) -> dict[str, Any]:
    """The same as plain values; the user's own are named yours, yours_std, yours_verdict ..."""
    value: dict[str, Any] = {
        "rows": plain_rows(SIDE_BY_SIDE, found.rows),
        "joint": {whose: render.joint_json(joint) for whose, joint in found.joints},
        "agreement": [str(line) for line in found.agreement],
    }
    return value | ({"copies": reproductions_rows(found.copies)} if copies else {})
