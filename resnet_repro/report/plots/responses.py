"""Layer responses in the arrangement of the paper's Fig. 7: in order above, sorted below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.models.names import parse
from resnet_repro.paper.published import curve_name, layer_std
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import DPI, colour, finish, style, view_caption

PALE = 0.45  # the paper's curves; five grey ones could not be told apart
Order = Literal["original", "sorted"]


def layer_responses(view: View) -> Figure:
    """Std of each 3x3 layer's response after BN; ours over the paper's, thin and pale.

    Plain nets are dashed, residual nets solid. Several seeds are averaged layer by layer.
    """
    with style():
        figure = Figure(figsize=(8.8, 6.4), dpi=DPI, layout="constrained")
        above, below = figure.subplots(2, 1, sharey=True)
        _draw(above, view, "original")
        above.set_xlabel("layer")
        _draw(below, view, "sorted")
        below.set_xlabel("layer, sorted by response")
        ours = sorted(set(view.frames.layers["arm"]))
        shown = [arm.network for arm in view.artifact.arms if arm.name in ours]
        keys = [_key(network) for network in shown]
        keys.append(
            Line2D([], [], color="0.3", alpha=PALE, lw=0.9, label="thin and pale: the paper's")
        )
        finish(figure, view.artifact.title, keys, view_caption(view))
    return figure


def _key(network: str) -> Line2D:
    return Line2D([], [], color=colour(network), ls=_dash(network), label=parse(network).label)


def _dash(network: str) -> str:
    return "--" if parse(network).plain else "-"


def _draw(ax: Axes, view: View, order: Order) -> None:
    ax.set_ylabel("std of the response")
    top = 0.0
    for arm in view.artifact.arms:
        name = curve_name(arm.network)
        if name is not None:
            paper = layer_std(name, order)
            shade, dash = colour(arm.network), _dash(arm.network)
            x, y = paper["layer_index"], paper["std"]
            ax.plot(x, y, color=shade, alpha=PALE, ls=dash, lw=0.9, zorder=1)
            top = max(top, float(paper["std"].max()))
        mean = _mean_by_layer(view, arm.dataset, arm.name)
        if mean:
            mean = sorted(mean, reverse=True) if order == "sorted" else mean
            layers = range(1, len(mean) + 1)
            shade = colour(arm.network)
            ax.plot(layers, mean, color=shade, ls=_dash(arm.network), lw=1.4, zorder=2)
            top = max(top, *mean)
    ax.set_ylim(0, 1.05 * top)
    ax.set_xlim(0, None)


def _mean_by_layer(view: View, dataset: str, arm: str) -> Sequence[float]:
    layers = view.frames.layers
    ours = layers[(layers["dataset"] == dataset) & (layers["arm"] == arm)]
    return [float(std) for std in ours.groupby("layer", sort=True)["std"].mean()]
