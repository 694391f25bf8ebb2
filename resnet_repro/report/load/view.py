"""The part of the tables that one artifact shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.report.load.evaluations import studies_wanted
from resnet_repro.report.load.frames import LABELS, Frames


@dataclass(frozen=True)
class View:
    """What a figure shows: an artifact's arms, as recorded under one protocol."""

    artifact: Artifact
    frames: Frames
    protocol: str

    @property
    def empty(self) -> bool:
        """Whether nothing of the artifact is recorded."""
        frames = self.frames
        return frames.runs.empty and frames.counts.empty and frames.ensembles.empty


def make_view(artifact: Artifact, frames: Frames) -> View:
    """The artifact's arms under the protocol its figure shows.

    That is `paper` where any arm has it, else the artifact's own default, else the first of
    `quarter`, `short` (the first edition's) and the others there are; the default again when
    nothing is recorded. Counts are those of its networks where the artifact is counted, ensembles
    those of its data sets where it is of ensembles, else none. An artifact of studies shows the
    runs that have them, and no other.
    """
    arms = arms_shown(artifact)
    frames = _studied(frames, studies_wanted(artifact))
    if any(claim.metric == "gradient_norm" for claim in artifact.claims):
        known = frames.runs["gradient_norm"].notna()  # recipe version 1 recorded too little
        frames = dataclasses.replace(frames, runs=frames.runs[known].reset_index(drop=True))
    found = sorted(set(frames.select_runs(arms)["protocol"]))
    order = [PAPER_PROTOCOL, artifact.protocol, "quarter", "short", *found]
    protocol = next((p for p in order if p in found), artifact.protocol)
    networks = {arm.network for arm in artifact.arms} if artifact.counted else set()
    counts = frames.counts[frames.counts["network"].isin(networks)].reset_index(drop=True)
    datasets = {arm.dataset for arm in artifact.arms} if artifact.ensemble else set()
    ensembles = frames.ensembles[frames.ensembles["dataset"].isin(datasets)].reset_index(drop=True)
    shown = dataclasses.replace(frames.select(arms, protocol), counts=counts, ensembles=ensembles)
    return View(artifact, shown, protocol)


def _studied(frames: Frames, studies: Sequence[str]) -> Frames:
    """The frames with only those runs in `runs` and `evaluations` that have all these studies."""
    if not studies:
        return frames
    made = frames.evaluations
    having = [
        set(zip(*(made[made["evaluation"] == name][c] for c in LABELS), strict=True))
        for name in studies
    ]
    both = set.intersection(*having)

    def part(frame: pd.DataFrame) -> pd.DataFrame:
        labels = zip(*(frame[c] for c in LABELS), strict=True)
        keep = pd.Series([run in both for run in labels], index=frame.index, dtype=bool)
        return frame[keep].reset_index(drop=True)

    return dataclasses.replace(frames, runs=part(frames.runs), evaluations=part(made))


def arms_shown(artifact: Artifact) -> set[tuple[str, str]]:
    """The (dataset, arm) pairs whose runs an artifact shows; none of one that shows no runs."""
    if artifact.counted or artifact.ensemble:
        return set()
    return {(arm.dataset, arm.name) for arm in artifact.arms}
