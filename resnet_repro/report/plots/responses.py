"""Layer responses in the arrangement of the paper's Fig. 7: in order, and sorted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.models.names import parse
from resnet_repro.paper.published import curve_name, layer_std
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.panels import PanelAxes, new_panels
from resnet_repro.report.plots.style import PALE, WIDTH, colour, finish, style, view_caption

MARGIN = 1.05  # of the axis above the highest point
Order = Literal["original", "sorted"]


def layer_responses(view: View) -> Figure:
    """Std of each 3x3 layer's response after BN; ours over the paper's, thin and pale.

    Plain nets are dashed, residual nets solid. Several seeds are averaged layer by layer. The axis
    is the paper's curves'; where one of ours goes beyond, that part stands in a strip above.
    """
    means = {arm.name: _mean_by_layer(view, arm.dataset, arm.name) for arm in view.artifact.arms}
    names = [name for arm in view.artifact.arms if (name := curve_name(arm.network))]
    papers = max(float(layer_std(name, "original")["std"].max()) for name in names)
    highest = max((std for mean in means.values() for std in mean), default=0.0)
    with style():
        figure, panels = new_panels(WIDTH, 4.6, [highest > MARGIN * papers] * 2)
        orders: dict[Order, str] = {"original": "layer", "sorted": "layer, sorted by response"}
        for axes, (order, words) in zip(panels, orders.items(), strict=True):
            _draw(axes, view, means, order)
            axes.set_ylim(0, MARGIN * papers, MARGIN * highest)
            axes.main.set_xlim(0, None)
            axes.main.set_xlabel(words)
        panels[0].main.set_ylabel("std of the response")
        keys = [_key(arm.network) for arm in view.artifact.arms if means[arm.name]]
        keys.append(
            Line2D([], [], color="0.2", alpha=PALE, lw=0.9, label="thin and pale: the paper's")
        )
        finish(figure, view.artifact.title, keys, view_caption(view))
    return figure


def _key(network: str) -> Line2D:
    return Line2D([], [], color=colour(network), ls=_dash(network), label=parse(network).label)


def _dash(network: str) -> str:
    return "--" if parse(network).plain else "-"


def _draw(axes: PanelAxes, view: View, means: Mapping[str, Sequence[float]], order: Order) -> None:
    for arm in view.artifact.arms:
        shade, dash = colour(arm.network), _dash(arm.network)
        mean = means[arm.name]
        mean = sorted(mean, reverse=True) if order == "sorted" else mean
        for ax in axes.both:
            name = curve_name(arm.network)
            if name is not None:
                paper = layer_std(name, order)
                x, y = paper["layer_index"], paper["std"]
                ax.plot(x, y, color=shade, alpha=PALE, ls=dash, lw=0.9, zorder=1)
            if mean:
                ax.plot(range(1, len(mean) + 1), mean, color=shade, ls=dash, lw=1.6, zorder=2)


def _mean_by_layer(view: View, dataset: str, arm: str) -> Sequence[float]:
    layers = view.frames.layers
    ours = layers[(layers["dataset"] == dataset) & (layers["arm"] == arm)]
    return [float(std) for std in ours.groupby("layer", sort=True)["std"].mean()]
