"""What the records measured of an arm: its seeds' outcomes, its counts, how far seeds scatter."""

from __future__ import annotations

import math

from resnet_repro.messages import _
from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm, Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL, seed_std_prior
from resnet_repro.records.metrics import COUNTED, ERRORS
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.statistics import Spread, pooled_std
from resnet_repro.report.verdicts.rule import Outcome

# Seeds of these scatter alike from net to net of a family, in points. Training errors do not
# (0.07 % beside 5.9 %), nor do norms, and what is studied of weights.
POOLED = ("test_error", *ERRORS)


def family(network: str) -> str:
    """`plain` or `residual`."""
    return _("plain") if parse(network).plain else _("residual")


def outcomes(frames: Frames, dataset: str, arm: str, protocol: str, metric: str) -> list[Outcome]:
    """The final value of every finished seed of an arm under one protocol, by seed.

    A seed that nobody evaluated for the metric is not among them.
    """
    return [
        Outcome(
            run.seed,
            None if math.isnan(run.values[metric]) else run.values[metric],
            run.status != "done",
        )
        for run in frames.runs_of(dataset, arm, protocol)
        if not run.unevaluated(metric)
    ]


def counts(artifact: Artifact, arm: Arm, metric: str, frames: Frames) -> list[int]:
    """Parameters as the runs of a network that was trained have them; else the network's count."""
    if metric == "params" and not artifact.counted:
        found = [run.parameters for run in frames.runs_of(arm.dataset, arm.name)]
        if found:
            return found
    count = frames.count_of(arm.network)
    return [] if count is None else [getattr(count, COUNTED[metric].counted)]


def spread(frames: Frames, arm: Arm, metric: str, protocol: str) -> Spread | None:
    """The standard deviation between an arm's seeds, in the metric's unit; None if not known.

    Of the metrics in POOLED it is pooled over all arms of its family, data set and protocol; the
    paper's own five runs of ResNet-110 join the residual ones under the paper's protocol, as how
    far seeds scatter depends on how long they train. Of other metrics it is the arm's own. Arms
    with a run that diverged are left out.
    """
    if metric not in POOLED:
        return pooled_std([_values(frames, arm.dataset, arm.name, protocol, metric)], None)
    kind = family(arm.network)
    groups = [
        _values(frames, arm.dataset, name, protocol, metric)
        for name in frames.arms(arm.dataset)
        if family(frames.runs_of(arm.dataset, name)[0].network) == kind
    ]
    papers = protocol == PAPER_PROTOCOL and kind == "residual"
    return pooled_std(groups, seed_std_prior(arm.dataset, metric) if papers else None)


def _values(frames: Frames, dataset: str, arm: str, protocol: str, metric: str) -> list[float]:
    """The seeds' values; none of an arm with a run that diverged."""
    found = outcomes(frames, dataset, arm, protocol, metric)
    values = [o.value for o in found if o.value is not None and not o.diverged]
    return values if len(values) == len(found) else []
