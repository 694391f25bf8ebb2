"""Training curves in the arrangement of the paper's Figs 1, 4 and 6."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Arm
from resnet_repro.paper.published import CIFAR_ITERATIONS, ITERATIONS, curve, curve_name
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.panels import End, PanelAxes, label_ends, new_panels
from resnet_repro.report.plots.style import (
    PALE,
    RGB,
    WIDTH,
    arm_colours,
    arm_label,
    colour,
    finish,
    style,
    view_caption,
)


@dataclass(frozen=True)
class _Look:
    """How the curves of a split are drawn and called."""

    words: str
    dash: str
    width: float
    paper: float  # width of the paper's own


# As in the paper: Figs 1 and 6 dash the training error, Fig. 4 draws it thin and the other bold.
_CIFAR = {
    "train": _Look("training error", "--", 1.2, 0.9),
    "test": _Look("test error", "-", 2.0, 0.9),
}
_IMAGES = {
    "train": _Look("training error", "-", 0.9, 0.6),
    "test": _Look("validation error, centre crop", "-", 2.2, 1.6),
}

MOST_SEEDS = 20  # that are drawn of an arm beside their mean; more make an area of one colour
_SEED_WIDTH = 0.6
_DOTS: dict[str, Any] = {"ls": "", "marker": "o", "ms": 3, "mew": 0.6}  # test filled, train hollow


@dataclass(frozen=True)
class Panel:
    """One panel: which arms and which errors it shows, and beside which published curves.

    `figure` and `panel` name curves of the paper (`fig6`, `left`); empty for none. `start` and
    `end` are the parts of training, 0 ... 1, between which the axis runs. `bottom` and `top` are
    the paper's limits in %. Where one of our curves ends above, a strip goes on to 100; where one
    ends below, the axis begins at 0.
    """

    title: str
    arms: tuple[str, ...]
    splits: tuple[str, ...] = ("train", "test")
    figure: str = ""
    panel: str | None = None
    start: float = 0.0
    end: float = 1.0
    bottom: float = 0.0
    top: float = 20.0


@dataclass(frozen=True)
class _Axis:
    """The x axis: ours and the paper's iterations become positions on it."""

    ours: int  # iterations of our schedule
    paper: int  # of the paper's
    fraction: bool  # of training, where the paper's schedule is longer or shorter

    def position(self, iterations: pd.Series, schedule: int) -> pd.Series:
        return iterations / schedule if self.fraction else iterations * 1.0

    @property
    def end(self) -> float:
        return 1.0 if self.fraction else float(self.ours)


def training_curves(
    view: View,
    panels: Sequence[Panel],
    *,
    height: float = 4.4,
    one_scale: bool = True,
    extra: Sequence[str] = (),
) -> Figure:
    """The recorded curves over the paper's own, a panel beside the other; height in inches.

    Bold: the mean over seeds. Thin lines of the same colour: each seed, where there are
    several, and of more than MOST_SEEDS the first. Thin and pale behind them: the paper's curve.
    Dots, where the view is of a user's own runs: the mean over the suite's.
    Where our schedule has another length than the paper's, both are drawn by the fraction of
    training. The last of a panel's errors is named at its curves' ends. An arm that was not run is
    named in the caption; a panel none of whose arms was is left out, unless that holds of all. The
    panels share one scale, or could not be compared, unless `one_scale` is false: panels of the
    same curves, one a part of the other, need none. extra: sentences for the caption.
    """
    begun = [p for p in panels if any(len(_rows(view, view.artifact.arm(n))) for n in p.arms)]
    panels = begun or panels
    schedules = sorted({run.schedule for run in view.frames.runs})
    dataset = view.artifact.arms[0].dataset
    paper = ITERATIONS.get(dataset, CIFAR_ITERATIONS)
    ours = schedules[-1] if schedules else paper
    published = any(panel.figure for panel in panels)
    axis = _Axis(ours, paper, published and schedules not in ([], [paper]))
    looks = _IMAGES if dataset in PHOTOGRAPHS else _CIFAR
    lasts = [_last_errors(view, panel) for panel in panels]
    above = [max(last, default=0.0) > p.top for last, p in zip(lasts, panels, strict=True)]
    if one_scale:
        above = [any(above)] * len(panels)
    with style():
        figure, axes = new_panels(min(WIDTH, 1.0 + 3.8 * len(panels)), height, above)
        ends = []
        for its, panel, last in zip(axes, panels, lasts, strict=True):
            ends.append(_draw_panel(its, view, panel, axis, looks))
            bottom = panel.bottom if min(last, default=panel.bottom) >= panel.bottom else 0.0
            its.set_ylim(bottom, panel.top, 100.0)
        if one_scale:
            bottom = min(its.main.get_ylim()[0] for its in axes)
            top = max(its.main.get_ylim()[1] for its in axes)
            for its in axes:
                its.set_ylim(bottom, top, 100.0)
        for its in axes:
            low, high = its.main.get_ylim()
            its.main.yaxis.set_major_locator(MultipleLocator(5 if high - low <= 45 else 20))
        axes[0].main.set_ylabel("error, %")
        keys = [
            Line2D([], [], color="0.2", lw=look.width, ls=look.dash, label=look.words)
            for split, look in looks.items()
            if any(split in panel.splits for panel in panels)
        ]
        shown = {name for panel in panels for name in panel.arms}
        most = max((_rows(view, view.artifact.arm(n))["seed"].nunique() for n in shown), default=0)
        if most > 1:
            words = f"thin: {f'the first {MOST_SEEDS} seeds' if most > MOST_SEEDS else 'each seed'}"
            keys.append(Line2D([], [], color="0.2", lw=_SEED_WIDTH, label=words))
        if published:
            words = "thin and pale: paper"
            keys.append(Line2D([], [], color="0.2", alpha=PALE, lw=0.9, label=words))
        if view.suite is not None and view.suite.runs:
            keys.append(Line2D([], [], color="0.2", **_DOTS, label="dots: suite"))
        keys.append(Line2D([], [], color="0.2", lw=2, label=f"lines: {view.whose}"))
        finish(figure, view.artifact.title, keys, view_caption(view, extra))
        figure.draw_without_rendering()
        for its, named in zip(axes, ends, strict=True):
            label_ends(its, named)
    return figure


def _rows(view: View, arm: Arm) -> pd.DataFrame:
    return _rows_of(view.frames, arm)


def _rows_of(frames: Frames, arm: Arm) -> pd.DataFrame:
    m = frames.metrics
    return m[(m["dataset"] == arm.dataset) & (m["arm"] == arm.name)]


def _seeds(view: View, arm: Arm, split: str) -> pd.DataFrame:
    """Errors in %, a column a seed, a row an iteration; empty where nothing was run."""
    return _rows(view, arm).pivot_table(
        index="iteration", columns="seed", values=f"{split}_error", dropna=False
    )


def _last_errors(view: View, panel: Panel) -> list[float]:
    """The finite errors, in %, that a panel's recorded curves end with, each seed's."""
    found = [
        _seeds(view, view.artifact.arm(name), split)
        for name in panel.arms
        for split in panel.splits
    ]
    lasts = [float(v) for seeds in found if len(seeds) for v in seeds.iloc[-1]]
    return [v for v in lasts if math.isfinite(v)]


def _draw_panel(
    axes: PanelAxes, view: View, panel: Panel, axis: _Axis, looks: dict[str, _Look]
) -> list[End]:
    """Draw everything but the y axis; returns how its curves are to be named at their ends."""
    arms = [view.artifact.arm(name) for name in panel.arms]
    hues = arm_colours(arms)
    right = panel.end * axis.end
    ends = []
    for arm in arms:
        hue = hues[arm.name]
        for split in panel.splits:
            _draw_suite(axes, view, arm, split, axis, hue)
            named = split == panel.splits[-1]
            drawn = (
                (_draw_published(axes, panel, arm, split, axis, looks[split]), False),
                (_draw_ours(axes, view, arm, split, axis, hue, looks[split]), True),
            )
            for curve_, ours in drawn:
                until = curve_[curve_.index <= right].dropna()
                if named and len(until):
                    words = arm_label(arm) if ours else f"paper's {parse(arm.network).depth}"
                    ends.append(End(float(until.iloc[-1]), words, hue, ours))
    _label_x(axes.main, axis, panel)
    axes.main.set_xlim(panel.start * axis.end, right)
    axes.highest.set_title(panel.title)
    return ends


def _draw_published(
    axes: PanelAxes, panel: Panel, arm: Arm, split: str, axis: _Axis, look: _Look
) -> pd.Series:
    """Draw the paper's curve; returns its errors by position, none where it has no curve."""
    network = curve_name(arm.network)
    if not panel.figure or network is None or arm.changes:  # the paper drew its own recipe
        return pd.Series(dtype=float)
    points = curve(panel.figure, network, split, panel.panel)
    x = axis.position(points["iteration"], axis.paper)
    for ax in axes.both:
        ax.plot(
            x,
            points["error_pct"],
            color=colour(arm.network),
            alpha=PALE,
            lw=look.paper,
            ls=look.dash,
            zorder=1,
        )
    return pd.Series(points["error_pct"].to_numpy(), index=x)


def _draw_suite(axes: PanelAxes, view: View, arm: Arm, split: str, axis: _Axis, hue: RGB) -> None:
    """Of a user's own view: the suite's rows of the arm, where it has the protocol, their mean."""
    here = None if view.suite is None else _rows_of(view.suite, arm)
    if here is None or here.empty:
        return
    mean = here.groupby("iteration")[f"{split}_error"].mean()
    x = axis.position(pd.Series(mean.index, index=mean.index), axis.ours)
    for ax in axes.both:
        ax.plot(x, mean, color=hue, mfc=hue if split == "test" else "white", zorder=2.5, **_DOTS)


def _draw_ours(
    axes: PanelAxes, view: View, arm: Arm, split: str, axis: _Axis, hue: RGB, look: _Look
) -> pd.Series:
    """Draw an arm's seeds and their mean; returns the mean's errors by position."""
    seeds = _seeds(view, arm, split)
    if seeds.empty:
        return pd.Series(dtype=float)
    # A row that one seed lacks has no mean over all of them.
    mean = seeds.mean(axis="columns", skipna=False)
    x = axis.position(pd.Series(seeds.index, index=seeds.index), axis.ours)
    for ax in axes.both:
        if len(seeds.columns) > 1:
            for seed in seeds.columns[:MOST_SEEDS]:
                ax.plot(
                    x, seeds[seed], color=hue, ls=look.dash, lw=_SEED_WIDTH, alpha=0.5, zorder=2
                )
        ax.plot(x, mean, color=hue, ls=look.dash, lw=look.width, zorder=3)
    return pd.Series(mean.to_numpy(), index=x)


def _label_x(ax: Axes, axis: _Axis, panel: Panel) -> None:
    if axis.fraction:
        ax.set_xlabel("fraction of training")  # of how many iterations each: the caption
    elif axis.end >= 10_000:
        ax.ticklabel_format(axis="x", style="plain")
        first, last = panel.start * axis.end, panel.end * axis.end
        span = last - first
        step = 100_000 if span > 200_000 else 10_000 if span > 20_000 else 2_000
        ticks = [t for t in range(0, int(last) + 1, step) if t >= first]
        ax.set_xticks(ticks, [f"{t / 10_000:g}" for t in ticks])
        ax.set_xlabel("iterations (1e4)")
    else:
        ax.set_xlabel("iterations")
