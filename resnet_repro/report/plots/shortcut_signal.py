"""How much of what blocks put out is what they were given, block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnet_repro.records.evaluations import Evaluation
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.probes import key, marked_line, studied, studied_caption
from resnet_repro.report.plots.style import finish, new_figure, style

READING = (
    "Left: the cosine between a block's input, by way of the shortcut where there is one, and its "
    "output; an identity has 1, and where a plain block changes the shape there is nothing to "
    "compare. Right: mean square of the shortcut's signal over the sum of its and F(x)'s; a plain "
    "block has no shortcut."
)


@dataclass(frozen=True)
class Signals:
    """Of one network, by block from input to output.

    `kept` is the cosine of input and output, NaN where they cannot be compared; `shares` the
    shortcut's part of the energy, 0 ... 1, or empty without shortcuts.
    """

    network: str
    kept: tuple[float, ...]
    shares: tuple[float, ...]


def path_figure(view: View) -> Figure:
    """The artifact's arms that were studied; the first seed of each."""
    made = studied(view, "path")
    images = sorted({str(e.settings.get("images")) for _, e in made})
    text = studied_caption(view, "path", f"Test images: {' or '.join(images)}.", READING)
    return draw_path([_path(arm.network, e) for arm, e in made], view.artifact.title, text)


def draw_path(found: Sequence[Signals], title: str, text: str) -> Figure:
    """What is kept by each block, and the shortcut's share of it; a panel each.

    Plain nets are dashed with open markers, residual nets solid with filled ones; a depth has one
    colour. text: the small print below.
    """
    with style():
        figure, (left, right) = new_figure(9.6, 4.6, 2)
        left.set_title("what a block keeps of its input")
        left.set_ylabel("cosine of input and output")
        right.set_title("what came by the shortcut")
        right.set_ylabel("shortcut's part of the energy, %")
        right.set_ylim(0, 102)
        for one in found:
            left.plot(range(1, len(one.kept) + 1), one.kept, **marked_line(one.network))
            shares = [100 * share for share in one.shares]
            right.plot(range(1, len(shares) + 1), shares, **marked_line(one.network))
        lowest = min((k for one in found for k in one.kept if not math.isnan(k)), default=0.0)
        left.set_ylim(min(0.0, lowest) - 0.02, 1.02)
        blocks = max((len(one.kept) for one in found), default=1)
        for ax in (left, right):
            ax.set_xlabel("block, from input to output")
            ax.set_xlim(0.5, blocks + 0.5)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        finish(figure, title, [key(one.network) for one in found], text)
    return figure


def _path(network: str, evaluation: Evaluation) -> Signals:
    kept = dict(zip(evaluation.listed("kept_blocks"), evaluation.listed("kept"), strict=True))
    has_shortcuts = any(evaluation.listed("shortcuts"))
    return Signals(
        network,
        kept=tuple(kept.get(block, math.nan) for block in evaluation.listed("blocks")),
        shares=tuple(evaluation.listed("shares")) if has_shortcuts else (),
    )
