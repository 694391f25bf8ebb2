"""Error against depth and against parameters: Table 6 as a picture."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from resnet_repro.models.names import parse
from resnet_repro.paper.published import PublishedValue, published_for
from resnet_repro.report.load.seeds import outcomes, spread
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import finish, new_figure, palette, style, view_caption
from resnet_repro.report.statistics import mean_half_width
from resnet_repro.report.verdicts.rule import summarise

PAPER, SUITE, EACH = "paper", "suite", "each seed"


@dataclass(frozen=True)
class _Point:
    """An arm: layers, parameters in millions, the paper's test error and ours, in %."""

    depth: int
    parameters: float
    published: PublishedValue
    seeds: tuple[float, ...]
    mean: float | None
    half_width: float | None  # of the 95 % interval of our mean
    suite: float | None  # the suite's mean, where ours is a user's own


def error_by_size(view: View) -> Figure:
    """Final test error against depth and parameters, with the 95 % interval of our means.

    The spread between seeds behind it is pooled over the arms shown, and the paper's own runs
    under the paper's protocol; without any there is no interval. The bar at a published mean is
    its printed standard deviation.
    """
    points = [_point(view, arm.name) for arm in view.artifact.arms]
    shown = [p.half_width for p in points if p.half_width is not None]
    whose = "your" if view.suite else "the suite's"
    ours = (
        f"95 % interval of {whose} mean" if shown else f"none at {whose} means, for want of seeds"
    )
    extra = [
        "Means over seeds of the final iterates.",
        f"Bars: {ours}; at the paper's mean, its printed standard deviation.",
    ]
    with style():
        figure, axes = new_figure(8.8, 4.4, 2)
        depths = [float(p.depth) for p in points]
        _draw(axes[0], points, depths, [str(p.depth) for p in points], view.whose)
        axes[0].set_xlabel("layers")
        axes[0].set_ylabel("test error, %")
        sizes = [p.parameters for p in points]
        _draw(axes[1], points, sizes, [p.text for p in _printed_sizes(view)], view.whose)
        axes[1].set_xlabel("parameters, millions")
        axes[1].sharey(axes[0])
        axes[1].tick_params(axis="x", rotation=60)  # 0.66 and 0.85 stand close together
        named = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
        keys = [named[label] for label in (PAPER, SUITE, "yours", EACH) if label in named]
        finish(figure, view.artifact.title, keys, view_caption(view, extra))
    return figure


def _printed_sizes(view: View) -> list[PublishedValue]:
    keys = [p for p in view.artifact.published if p.metric == "params"]
    return [published_for(key)[0] for key in keys]


def _point(view: View, name: str) -> _Point:
    arm = view.artifact.arm(name)
    keys = {p.metric: p for p in view.artifact.published if p.arm == name}
    found = outcomes(view.frames, arm.dataset, name, view.protocol, "test_error")
    ours = summarise(found)
    s = spread(view.frames, arm, "test_error", view.protocol)
    suite = view.suite and outcomes(view.suite, arm.dataset, name, view.protocol, "test_error")
    return _Point(
        depth=parse(arm.network).depth,
        parameters=published_for(keys["params"])[0].value,
        published=published_for(keys["test_error"])[0],
        seeds=tuple(o.value for o in found if o.value is not None and not o.diverged),
        mean=ours.mean,
        half_width=(None if s is None or ours.mean is None else mean_half_width(s, ours.n)),
        suite=summarise(suite).mean if suite else None,
    )


def _draw(ax: Axes, points: list[_Point], sizes: list[float], ticks: list[str], whose: str) -> None:
    blue, _, _, vermilion, *_ = palette()
    ax.set_xscale("log")
    ax.errorbar(
        sizes,
        [p.published.value for p in points],
        yerr=[p.published.std or 0.0 for p in points],
        color="0.55",
        marker="o",
        mfc="white",
        lw=1,
        capsize=3,
        label=PAPER,
        zorder=2,
    )
    run = [(x, p) for x, p in zip(sizes, points, strict=True) if p.mean is not None]
    if run:
        ax.errorbar(
            [x for x, _ in run],
            [p.mean or 0.0 for _, p in run],
            yerr=[p.half_width or 0.0 for _, p in run],
            color=blue,
            marker="s",
            lw=1.6,
            capsize=3,
            label=whose,
            zorder=3,
        )
    theirs = [(x, p.suite) for x, p in zip(sizes, points, strict=True) if p.suite is not None]
    if theirs:
        ax.plot(
            *zip(*theirs, strict=True), color=blue, mfc="white", marker="s", ls=":", label=SUITE
        )
    several = [
        (x, v) for x, p in zip(sizes, points, strict=True) if len(p.seeds) > 1 for v in p.seeds
    ]
    if several:
        # A little to the left, or the interval's bar would hide them.
        ax.plot(
            [0.94 * x for x, _ in several],
            [v for _, v in several],
            color=vermilion,
            ls="",
            marker=".",
            ms=4,
            label=EACH,
            zorder=4,
        )
    ax.set_xticks(sizes, ticks, fontsize=8)
    ax.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
