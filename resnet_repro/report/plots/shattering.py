"""How alike the gradients of neighbouring inputs are, by depth, beside white and brown noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_repro.records.evaluations import Evaluation
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.probes import key, marked_line, studied, studied_caption
from resnet_repro.report.plots.style import finish, new_figure, style

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Shattered:
    """Autocorrelations of one network's input gradients, by block and then by lag.

    `states` has them before and after training, as far as was measured. `white` and `brown`: of
    noise, at the same lags. norms: of each layer's gradient before training, from input to output,
    if they are to be shown.
    """

    network: str
    lags: tuple[int, ...]
    states: Mapping[str, Rows]
    white: tuple[float, ...]
    brown: tuple[float, ...]
    norms: tuple[float, ...] = ()


INITIAL, TRAINED = "before training", "after training"


def shattering_figure(view: View) -> Figure:
    """The artifact's arms that were studied; the first seed of each."""
    made = studied(view, "gradients")
    told = [e.settings for _, e in made]
    ways = dict.fromkeys(f"{x['circles']} circles of {x['points']} inputs." for x in told)
    text = studied_caption(view, "gradients", *ways)
    found = [_shattered(arm.network, e) for arm, e in made]
    return draw_shattering(found, view.artifact.title, text)


def draw_shattering(found: Sequence[Shattered], title: str, text: str) -> Figure:
    """Correlation of neighbours after each block, a panel a state; by distance after the last.

    And the norms, where there are any.
    Plain nets are dashed with open markers, residual nets solid with filled ones; a depth has one
    colour. Grey: white and brown noise. text: the small print below.
    """
    states = [s for s in (INITIAL, TRAINED) if any(s in one.states for one in found)]
    norms = {one.network: one.norms for one in found if one.norms}
    panels = len(states) + 1 + bool(norms)
    with style():
        figure, axes = new_figure(1.0 + 3.8 * min(panels, 2), 3.6, panels, in_row=2)
        if norms:
            _draw_norms(axes.pop(), INITIAL + ": norm of the gradient", norms)
        for ax in axes[::2]:
            ax.set_ylabel("correlation of input gradients")
        for ax, state in zip(axes, states, strict=False):
            ax.set_title(f"{state}: neighbouring inputs")
            ax.set_xlabel("after block")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            for one in found:
                if state in one.states:
                    near = [row[one.lags.index(1)] for row in one.states[state]]
                    ax.plot(range(1, len(near) + 1), near, **marked_line(one.network))
        last = axes[-1]
        last.set_title(f"{states[0]}: after the last block")
        last.set_xlabel("distance of the inputs, steps along the circle")
        for one in found:
            if states[0] in one.states:
                last.plot(one.lags, one.states[states[0]][-1], **marked_line(one.network))
        _noise(last, found[0])
        for ax in axes:
            ax.set_ylim(-0.08, 1.04)
        keys: list[Artist] = [key(one.network) for one in found]
        keys += [
            Line2D([], [], color="0.45", ls="-.", label="brown noise"),
            Line2D([], [], color="0.45", ls=":", label="white noise"),
        ]
        finish(figure, title, keys, text)
    return figure


def draw_norms(norms: Mapping[str, Mapping[str, Sequence[float]]], title: str, text: str) -> Figure:
    """The norm of each layer's gradient, a panel a state of training.

    norms: state -> network -> norms from input to output. Looks as in `draw_shattering`.
    """
    with style():
        figure, axes = new_figure(1.0 + 3.8 * len(norms), 4.2, len(norms))
        axes[0].set_ylabel("norm of the loss gradient")
        networks: dict[str, None] = {}
        for ax, (state, each) in zip(axes, norms.items(), strict=True):
            _draw_norms(ax, state, each)
            if ax is not axes[0]:
                ax.sharey(axes[0])
            networks |= dict.fromkeys(each)
        finish(figure, title, [key(network) for network in networks], text)
    return figure


def _draw_norms(ax: Axes, title: str, each: Mapping[str, Sequence[float]]) -> None:
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter("{x:g}")  # an exponent would be too small to read
    ax.set_title(title)
    ax.set_xlabel("layer, from input to output")
    for network, values in each.items():
        ax.plot(range(1, len(values) + 1), values, **{**marked_line(network), "ms": 3})


def _noise(ax: Axes, one: Shattered) -> None:
    ax.plot(one.lags, one.brown, color="0.45", ls="-.", lw=1.2, zorder=1)
    ax.plot(one.lags, one.white, color="0.45", ls=":", lw=1.2, zorder=1)


def _shattered(network: str, evaluation: Evaluation) -> Shattered:
    return Shattered(
        network=network,
        lags=tuple(evaluation.listed("lags")),
        states={
            INITIAL: tuple(tuple(row) for row in evaluation.listed("initial_correlations")),
            TRAINED: tuple(tuple(row) for row in evaluation.listed("trained_correlations")),
        },
        white=tuple(evaluation.listed("white_noise")),
        brown=tuple(evaluation.listed("brown_noise")),
        norms=tuple(evaluation.listed("initial_norms")),
    )
