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

from resnet_repro.paper.artifacts import Arm
from resnet_repro.paper.published import CIFAR_ITERATIONS, ITERATIONS, curve, curve_name
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.style import (
    RGB,
    arm_colours,
    arm_label,
    colour,
    finish,
    new_figure,
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
    the paper's limits in %, moved where one of our curves would end beyond them.
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
    training. An arm that was not run is named in the caption; a panel none of whose arms was is
    left out, unless that holds of all. The panels share one scale, or could not be compared,
    unless `one_scale` is false: panels of the same curves, one a part of the other, need none.
    extra: sentences for the caption.
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
    with style():
        figure, axes = new_figure(1.0 + 3.9 * len(panels), height, len(panels))
        limits = [
            _draw_panel(ax, view, panel, axis, looks)
            for ax, panel in zip(axes, panels, strict=True)
        ]
        for ax, own in zip(axes, limits, strict=True):
            shared = (min(low for low, _ in limits), max(high for _, high in limits))
            low, high = shared if one_scale else own
            ax.set_ylim(low, high)
            span = high - low
            ax.yaxis.set_major_locator(MultipleLocator(5 if span <= 45 else 20))
        axes[0].set_ylabel("error, %")
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
            grey = _pale((0.4, 0.4, 0.4))
            keys.append(Line2D([], [], color=grey, lw=0.9, label="pale: paper"))
        if view.suite is not None and view.suite.runs:
            keys.append(Line2D([], [], color="0.2", **_DOTS, label="dots: suite"))
        keys.append(Line2D([], [], color="0.2", lw=2, label=f"lines: {view.whose}"))
        finish(figure, view.artifact.title, keys, view_caption(view, extra))
    return figure


def _rows(view: View, arm: Arm) -> pd.DataFrame:
    return _rows_of(view.frames, arm)


def _rows_of(frames: Frames, arm: Arm) -> pd.DataFrame:
    m = frames.metrics
    return m[(m["dataset"] == arm.dataset) & (m["arm"] == arm.name)]


def _pale(rgb: RGB) -> RGB:
    """Mostly grey, with enough of the colour left to tell whose curve it is."""
    r, g, b = (0.4 * c + 0.6 * 0.8 for c in rgb)
    return r, g, b


def _draw_panel(
    ax: Axes, view: View, panel: Panel, axis: _Axis, looks: dict[str, _Look]
) -> tuple[float, float]:
    """Draw everything but the y axis; returns the limits this panel needs, in %."""
    arms = [view.artifact.arm(name) for name in panel.arms]
    hues = arm_colours(arms)
    ends = []
    for arm in arms:
        for split in panel.splits:
            _draw_published(ax, panel, arm, split, axis, looks[split])
            _draw_suite(ax, view, arm, split, axis, hues[arm.name])
            ends += _draw_ours(ax, view, arm, split, axis, hues[arm.name], looks[split])
    _label_x(ax, axis, panel)
    ax.set_xlim(panel.start * axis.end, panel.end * axis.end)
    # Above the panel: inside, wherever it stood, some curve would run under it.
    ax.legend(
        handles=[Line2D([], [], color=hues[arm.name], lw=2, label=arm_label(arm)) for arm in arms],
        title=panel.title,
        title_fontsize=10,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(panel.arms),
        frameon=False,
        fontsize=7.5,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=0.8,
    )
    highest = max(ends, default=0.0)
    # Room above a curve's end, in steps of 10, so that small changes leave the limits alone.
    raised = min(100.0, 10.0 * math.ceil(highest / 10 + 0.5))
    bottom = panel.bottom if min(ends, default=panel.bottom) >= panel.bottom else 0.0
    return bottom, panel.top if highest < panel.top else raised


def _draw_published(ax: Axes, panel: Panel, arm: Arm, split: str, axis: _Axis, look: _Look) -> None:
    network = curve_name(arm.network)
    if not panel.figure or network is None or arm.changes:  # the paper drew its own recipe
        return
    points = curve(panel.figure, network, split, panel.panel)
    x = axis.position(points["iteration"], axis.paper)
    hue = _pale(colour(arm.network))
    ax.plot(x, points["error_pct"], color=hue, lw=look.paper, ls=look.dash, zorder=1)


def _draw_suite(ax: Axes, view: View, arm: Arm, split: str, axis: _Axis, hue: RGB) -> None:
    """Of a user's own view: the suite's rows of the arm, where it has the protocol, their mean."""
    here = None if view.suite is None else _rows_of(view.suite, arm)
    if here is None or here.empty:
        return
    mean = here.groupby("iteration")[f"{split}_error"].mean()
    x = axis.position(pd.Series(mean.index, index=mean.index), axis.ours)
    ax.plot(x, mean, color=hue, mfc=hue if split == "test" else "white", zorder=2.5, **_DOTS)


def _draw_ours(
    ax: Axes, view: View, arm: Arm, split: str, axis: _Axis, hue: RGB, look: _Look
) -> list[float]:
    """Draw an arm's seeds and their mean; returns the finite errors, in %, they end with."""
    here = _rows(view, arm)
    if here.empty:
        return []
    # A column a seed; a row that one seed lacks has no mean over all of them.
    seeds = pd.DataFrame(
        {seed: rows.set_index("iteration")[f"{split}_error"] for seed, rows in here.groupby("seed")}
    ).sort_index()
    mean = seeds.mean(axis="columns", skipna=False)
    x = axis.position(pd.Series(seeds.index, index=seeds.index), axis.ours)
    if len(seeds.columns) > 1:
        for seed in seeds.columns[:MOST_SEEDS]:
            ax.plot(x, seeds[seed], color=hue, ls=look.dash, lw=_SEED_WIDTH, alpha=0.5, zorder=2)
    ax.plot(x, mean, color=hue, ls=look.dash, lw=look.width, zorder=3)
    return [float(v) for v in seeds.iloc[-1] if math.isfinite(v)]


def _label_x(ax: Axes, axis: _Axis, panel: Panel) -> None:
    if axis.fraction:
        ax.set_xlabel(
            f"fraction of training (ours {axis.ours:,}, paper's {axis.paper:,} iterations)"
        )
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
