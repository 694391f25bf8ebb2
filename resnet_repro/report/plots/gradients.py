"""Gradient norms times weight norms over training, stage by stage, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.records.schema import STAGES
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import (
    finish,
    new_figure,
    palette,
    style,
    view_caption,
)

# The stages that every network has keep their colours where layer4 joins them.
HUES = dict(zip((*(s for s in STAGES if s != "layer4"), "layer4"), palette(), strict=False))
LOOKS = (("--", 1.0), ("-", 1.8), (":", 1.4))  # dash and width of a panel's first, second arm ...


def gradient_norms(view: View, panels: Sequence[tuple[str, Sequence[str]]]) -> Figure:
    """A panel for each title and its arms; one colour a stage, one dash an arm.

    Several seeds are averaged row by row, as the claims do, by the logarithm of the norm.
    """
    with style():
        figure, axes = new_figure(1.0 + 3.9 * len(panels), 4.4, len(panels))
        axes[0].set_ylabel("gradient norm x weight norm")
        for ax, (title, names) in zip(axes, panels, strict=True):
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter("{x:g}")  # an exponent would be too small to read
            if ax is not axes[0]:
                ax.sharey(axes[0])
            arms = [view.artifact.arm(name) for name in names]
            for arm, (dash, width) in zip(arms, LOOKS, strict=False):
                _draw(ax, view, arm, dash, width)
            ax.set_xlabel("iterations")
            ax.set_xlim(0, None)
            ax.legend(
                handles=[
                    Line2D([], [], color="0.2", ls=d, lw=w, label=parse(arm.network).label)
                    for arm, (d, w) in zip(arms, LOOKS, strict=False)
                ],
                title=title,
                title_fontsize=10,
                loc="lower center",
                bbox_to_anchor=(0.5, 1.0),
                ncols=len(arms),
                frameon=False,
            )
        absent = {"layer4"} if view.frames.gradients["layer4"].isna().all() else set()
        keys = [
            Line2D([], [], color=HUES[stage], lw=2, label=stage)
            for stage in STAGES
            if stage not in absent
        ]
        finish(figure, view.artifact.title, keys, view_caption(view))
    return figure


def _draw(ax: Axes, view: View, arm: Arm, dash: str, width: float) -> None:
    frame = view.frames.gradients
    here = frame[(frame["dataset"] == arm.dataset) & (frame["arm"] == arm.name)]
    if here.empty:
        return
    for stage in (s for s in STAGES if here[s].notna().any()):
        positive = here[stage].where(here[stage] > 0)  # 0 has no place on this axis
        means = 10 ** np.log10(positive).groupby(here["iteration"]).mean()
        ax.plot(means.index, means, color=HUES[stage], ls=dash, lw=width)
