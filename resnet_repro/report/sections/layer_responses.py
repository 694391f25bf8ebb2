"""How close the layers' responses under the paper's protocol come to Fig. 7's curves.

What agreement means was written down before any net under that protocol was recorded
(docs/verdicts.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from resnet_repro.markup import Grid
from resnet_repro.paper.published import PAPER_PROTOCOL, curve_name, layer_std
from resnet_repro.report.load.frames import Frames

# The networks whose responses Fig. 7 draws.
DRAWN = ("plain20", "plain56", "resnet20", "resnet56", "resnet110")
# What both differences have to stay within, in % of the paper's mean. Layer by layer, two seeds of
# ResNet-20 under `short` are up to 7.7 % from each other.
WITHIN = 10.0


@dataclass(frozen=True)
class Responses:
    """A network's responses beside Fig. 7's; ours are means over the seeds, layer by layer.

    layers: that the figure has a point for. paper, ours: mean std over these. level: ours less the
    paper's; shape: the mean over layers of the absolute difference that is left when both curves
    are divided by their means; both in %.
    """

    arm: str
    n: int
    layers: int
    paper: float
    ours: float
    level: float
    shape: float

    @property
    def verdict(self) -> str:
        """Which of the two is as the paper draws it."""
        level, shape = abs(self.level) <= WITHIN, self.shape <= WITHIN
        if level and shape:
            return "agrees"
        if level or shape:
            return "shape differs" if level else "level differs"
        return "level and shape differ"


def layer_responses(frames: Frames) -> list[Responses]:
    """Every net of DRAWN with runs under `paper`; without those of which a run diverged."""
    every = frames.layers
    every = every[(every["dataset"] == "cifar10") & (every["protocol"] == PAPER_PROTOCOL)]
    found = []
    for arm in DRAWN:
        runs = frames.runs_of("cifar10", arm, PAPER_PROTOCOL)
        if runs and all(run.status == "done" for run in runs):
            ours = every[every["arm"] == arm].groupby("layer")["std"].mean()
            found.append(_beside(arm, len(runs), ours))
    return found


def _beside(arm: str, n: int, ours: pd.Series) -> Responses:
    paper = layer_std(str(curve_name(arm))).groupby("layer_index")["std"].mean()
    layers = paper.index.intersection(ours.index)
    paper, ours = paper[layers], ours[layers]
    shape = (ours / ours.mean() - paper / paper.mean()).abs().mean()
    return Responses(
        arm,
        n,
        len(layers),
        float(paper.mean()),
        float(ours.mean()),
        100 * float(ours.mean() / paper.mean() - 1),
        100 * float(shape),
    )


def responses_grid(rows: Sequence[Responses]) -> Grid:
    """As cells of text."""
    return Grid(
        ("network", "layers", "paper, mean std", "suite, mean std", "level", "shape", "verdict"),
        tuple(
            (
                row.arm,
                str(row.layers),
                f"{row.paper:.2f}",
                f"{row.ours:.2f} (n = {row.n})",
                f"{row.level:+.1f} %",
                f"{row.shape:.1f} %",
                row.verdict,
            )
            for row in rows
        ),
    )


RESPONSES_NOTE = (
    "Level: the mean over the layers, ours less the paper's. Shape: the mean over the layers of "
    "the absolute difference that is left when both curves are divided by their means. A curve "
    f"*agrees* if both are within {WITHIN:.0f} % of the paper's mean, which was decided before "
    "any net under its protocol was recorded."
)
