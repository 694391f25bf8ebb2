"""Why the best test epoch flatters: what choosing a row on the test set would have gained."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_repro.errors import UserError
from resnet_repro.report.load.view import View
from resnet_repro.report.plots.curves import MOST_SEEDS
from resnet_repro.report.plots.probes import marked_line
from resnet_repro.report.plots.style import (
    arm_label,
    colour,
    finish,
    new_figure,
    style,
    view_caption,
)

PLAIN, RESIDUAL = "plain net", "residual net"
BEST, MEAN = "its best test", "mean over seeds"

# Dark, with a light edge: to be seen on a marker of any colour.
_BEST: dict[str, Any] = {"color": "0.1", "mec": "w", "mew": 0.6, "ms": 4.5}


@dataclass(frozen=True)
class ArmRuns:
    """One arm's runs: the test errors in % of each run's rows, from the first to the last."""

    label: str
    network: str
    runs: tuple[tuple[float, ...], ...]


def best_epoch_gain(test_errors: Sequence[float]) -> float:
    """The last row's test error minus the smallest of all rows, in points; never negative.

    test_errors: of one run, row by row, in %. Raises UserError without any.
    """
    if not test_errors:
        raise UserError("no row was tested: give the rows of a finished run")
    return test_errors[-1] - min(test_errors)


def best_epoch_figure(view: View) -> Figure:
    """Every finished run of the artifact's arms; a run that diverged has no last error."""
    found = arm_runs(view)
    rows = sorted({len(run) for one in found for run in one.runs})
    words = f"Each run was tested {' or '.join(str(n) for n in rows)} times while it trained."
    caption = view_caption(view, [words] if rows else [])
    return draw_best_epoch(found, view.artifact.title, caption)


def arm_runs(view: View) -> list[ArmRuns]:
    """The artifact's arms that have finished runs, in its order."""
    metrics = view.frames.metrics.sort_values("iteration")
    found = []
    for arm in view.artifact.arms:
        runs = [
            run
            for run in view.frames.runs_of(arm.dataset, arm.name, view.protocol)
            if run.status == "done"
        ]
        here = metrics[(metrics["dataset"] == arm.dataset) & (metrics["arm"] == arm.name)]
        here = here[here["protocol"] == view.protocol]
        by_seed = here.groupby("seed")["test_error"].agg(tuple)
        rows = [by_seed[run.seed] for run in runs]
        if rows:
            found.append(ArmRuns(arm_label(arm), arm.network, tuple(rows)))
    return found


def draw_best_epoch(found: Sequence[ArmRuns], title: str, text: str) -> Figure:
    """Each run's last and best test error, and the difference; a panel each.

    Plain nets have open markers, residual nets filled ones; a depth has one colour. text: the
    small print below.
    """
    with style():
        figure, (left, right) = new_figure(9.6, 4.6, 2)
        left.set_title("the last test, and the best")
        left.set_ylabel("test error, %")
        right.set_title("what choosing the best would have gained")
        right.set_ylabel("last minus best test error, points")
        for place, one in enumerate(found):
            some = one.runs[:MOST_SEEDS]  # the mean is of all
            for x, run in zip(_aside(place, len(some)), some, strict=True):
                left.plot([x, x], [min(run), run[-1]], color="0.7", lw=1, zorder=1)
                left.plot([x], [run[-1]], **marked_line(one.network) | {"ms": 7})
                left.plot([x], [min(run)], "v", **_BEST, zorder=4)
                right.plot([x], [best_epoch_gain(run)], **marked_line(one.network) | {"ms": 7})
            _mean(right, place, one)
        for ax in (left, right):
            ax.set_xticks(range(len(found)), [one.label for one in found], rotation=60)
            ax.set_xlim(-0.6, len(found) - 0.4)
        left.margins(y=0.15)
        gains = [best_epoch_gain(run) for one in found for run in one.runs]
        top = 1.2 * max(gains, default=0.0) or 1.0
        right.set_ylim(-0.04 * top, top)  # or a gain of 0 would be cut in half
        keys = [
            Line2D([], [], color="0.3", ls="", marker="s", ms=7, label=RESIDUAL),
            Line2D([], [], color="0.3", ls="", marker="o", ms=7, mfc="w", label=PLAIN),
            Line2D([], [], ls="", marker="v", label=BEST, **_BEST),
        ]
        if any(len(one.runs) > 1 for one in found):
            keys.append(Line2D([], [], color="0.3", ls="", marker="_", ms=14, label=MEAN))
        finish(figure, title, keys, text)
    return figure


def _mean(ax: Axes, place: int, one: ArmRuns) -> None:
    if len(one.runs) > 1:
        mean = statistics.fmean(best_epoch_gain(run) for run in one.runs)
        ax.plot([place], [mean], marker="_", ms=26, color=colour(one.network), zorder=1)


def _aside(place: int, count: int) -> list[float]:
    """Where `count` runs stand around a place, side by side."""
    return [place + 0.16 * (i - (count - 1) / 2) for i in range(count)]
