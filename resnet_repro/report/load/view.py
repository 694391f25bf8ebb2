"""The part of the tables that one artifact shows."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.report.load.evaluations import studies_wanted
from resnet_repro.report.load.frames import Frames


@dataclass(frozen=True)
class View:
    """What a figure shows: an artifact's arms, as recorded under one protocol.

    suite: the suite's records of the same, where `frames` are a user's own.
    """

    artifact: Artifact
    frames: Frames
    protocol: str
    suite: Frames | None = None

    @property
    def whose(self) -> str:
        """Whose the frames are, in one of the words that tables and figures have for it."""
        return "suite" if self.suite is None else "yours"

    @property
    def empty(self) -> bool:
        """Whether nothing of the artifact is recorded."""
        frames = self.frames
        return not (frames.runs or frames.counts or frames.ensembles)


def make_view(artifact: Artifact, frames: Frames, suite: Frames | None = None) -> View:
    """The artifact's arms under the protocol its figure shows.

    That is `paper` where any arm has it, else the artifact's own default, else the first of
    `quarter`, `short` (the first edition's) and the others there are; the default again when
    nothing is recorded. Counts are those of its networks where the artifact is counted, ensembles
    those of its data sets where it is of ensembles, else none. An artifact of studies shows the
    runs that have them, and no other. suite: all that the suite has, where the frames are a
    user's own.
    """
    arms = arms_shown(artifact)
    studies = set(studies_wanted(artifact))
    runs = [run for run in frames.runs if studies <= run.evaluations.keys()]
    if any(claim.metric == "gradient_norm" for claim in artifact.claims):
        # Recipe version 1 recorded too little.
        runs = [run for run in runs if not math.isnan(run.values["gradient_norm"])]
    frames = dataclasses.replace(frames, runs=tuple(runs))
    found = sorted({run.protocol for run in frames.select_runs(arms)})
    order = [PAPER_PROTOCOL, artifact.protocol, "quarter", "short", *found]
    protocol = next((p for p in order if p in found), artifact.protocol)
    networks = {arm.network for arm in artifact.arms} if artifact.counted else set()
    shown = dataclasses.replace(
        frames.select(arms, protocol),
        counts=tuple(count for count in frames.counts if count.name in networks),
        ensembles=tuple(frames.ensembles_of(artifact) if artifact.ensemble else ()),
    )
    return View(artifact, shown, protocol, suite.select(arms, protocol) if suite else None)


def arms_shown(artifact: Artifact) -> set[tuple[str, str]]:
    """The (dataset, arm) pairs whose runs an artifact shows; none of one that shows no runs."""
    if artifact.counted or artifact.ensemble:
        return set()
    return {(arm.dataset, arm.name) for arm in artifact.arms}
