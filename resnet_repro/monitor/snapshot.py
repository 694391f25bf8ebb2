"""A run as it lies on disk while it goes on, beside the paper's curve at the same iteration.

Two commands show it. `watch` follows a run from outside, whoever started it and in whatever
terminal, and `run --watch` shows the same in the process that trains. Both read the run's record,
and after a minute's silence try its lock for a moment. The record's tables are replaced whole with
every row, so a reader never meets half of one, does not disturb the training, and sees also what
was recorded before a run was resumed. A run
of hours is thus looked in on and left again, which a picture in the training process alone would
not allow. Errors are in %, times in seconds. Nothing here needs torch.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resnet_repro.errors import UserError
from resnet_repro.paper.published import ITERATIONS, curve, curve_name
from resnet_repro.records import schema, store
from resnet_repro.records.state import QUIET, State, heard, run_state

FIGURES = {"cifar10": "fig6", "imagenet": "fig4"}  # which draw every curve of a data set
PAUSE = 1.0  # seconds between two looks at a record

Point = tuple[int, float]  # iteration, error


def same_part(iteration: int, ours: int, paper: int) -> int:
    """The iteration of a schedule of `paper` iterations at the same part of training."""
    return round(iteration * paper / ours)


@dataclass(frozen=True)
class Paper:
    """The published curves of a network, whose points are in the order of training."""

    name: str  # ResNet-20
    figure: str  # Fig. 6
    iterations: int  # of the paper's schedule
    train: tuple[Point, ...]
    test: tuple[Point, ...]

    def at(self, split: Literal["train", "test"], iteration: int) -> float | None:
        """The error at an iteration, between two points on the straight line.

        None where the figure draws nothing: before the curve comes down into it, and more than
        one of the curve's usual steps after its last point.
        """
        points = self.train if split == "train" else self.test
        places = [place for place, _ in points]
        after = bisect_right(places, iteration)
        if after == 0:
            return None
        (x0, y0) = points[after - 1]
        if after == len(points):
            usual = statistics.median(b - a for a, b in itertools.pairwise(places))
            return y0 if iteration - x0 <= usual else None
        (x1, y1) = points[after]
        return y0 + (y1 - y0) * (iteration - x0) / (x1 - x0)


def paper_of(run: schema.RunId, network: str) -> Paper | None:
    """What Fig. 6 or Fig. 4 draws of a run's network.

    None for another data set, for a network they do not show, and for an arm whose recipe is
    its own: the paper drew another.
    """
    name = curve_name(network)
    figure = FIGURES.get(run.dataset)
    if name is None or figure is None or run.arm != network:
        return None
    try:
        train, test = (_points(figure, name, split) for split in ("train", "test"))
    except KeyError:
        return None
    words = f"Fig. {figure.removeprefix('fig')}"
    return Paper(name, words, ITERATIONS[run.dataset], train, test)


def _points(figure: str, name: str, split: str) -> tuple[Point, ...]:
    found = curve(figure, name, split)
    columns = found["iteration"], found["error_pct"]
    return tuple((int(x), float(y)) for x, y in zip(*columns, strict=True))


@dataclass(frozen=True)
class Seen:
    """A run at one moment.

    state: as `records.state` says, neither missing nor broken. `pace` is in seconds an iteration,
    the median over the rows; `heard` is when the last row was or, if that is later, when the run
    was last taken up, in seconds since the epoch.
    """

    run: schema.RunId
    iterations: int  # of its schedule
    rows: tuple[store.Row, ...]
    pace: float | None
    heard: float
    state: State
    paper: Paper | None

    @property
    def iteration(self) -> int:
        """Of the last row; 0 without one."""
        return int(self.rows[-1]["iteration"]) if self.rows else 0

    @property
    def over(self) -> bool:
        return self.state != "under way"

    @property
    def waiting(self) -> bool:
        """Whether its first row is still to come."""
        return not self.over and not self.rows

    @property
    def scale(self) -> float:
        """How many times as long as this run's the paper's schedule is; 1 without the paper's."""
        return self.paper.iterations / self.iterations if self.paper else 1.0

    def beside(self, iteration: int) -> int:
        """The paper's iteration at the same part of its schedule."""
        return same_part(iteration, self.iterations, self.paper.iterations) if self.paper else 0

    def left(self, now: float, iteration: int | None = None) -> float | None:
        """Seconds to go, at time `now`; None before the first row.

        From `iteration` where it is known; otherwise from the last row and the time since.
        """
        if self.pace is None:
            return None
        if iteration is not None:
            return self.pace * (self.iterations - iteration)
        whole = self.pace * (self.iterations - self.iteration)
        return max(0.0, whole - max(0.0, now - self.heard))

    def silent(self, now: float) -> float | None:
        """Seconds without a row, if thrice as long as to the row before, and a minute, too."""
        before = self.rows[-2]["iteration"] if len(self.rows) > 1 else 0.0
        usual = (self.pace or 0.0) * (self.iteration - before)
        age = now - self.heard
        return age if age > max(3 * usual, QUIET) else None


def look(folder: Path) -> Seen:
    """A run as its record says it at this moment. Raises UserError for a damaged record."""
    run, spec, recipe = store.read_labelled(folder)
    found = run_state(run, folder)
    if found.state == "broken":
        raise UserError(found.detail)
    metrics, timing = folder / "metrics.csv", folder / "timing.csv"
    rows = _rows(metrics, *schema.METRICS_FORMS) if metrics.exists() else ()
    times = _rows(timing, schema.TIMING) if timing.exists() else ()
    return Seen(
        run=run,
        iterations=recipe.iterations,
        rows=rows,
        pace=_pace(times),
        heard=heard(folder),
        state=found.state,
        paper=paper_of(run, spec.network),
    )


def _rows(path: Path, *forms: tuple[str, ...]) -> tuple[store.Row, ...]:
    try:
        return tuple(
            {name: float(text) for name, text in row.items()}
            for row in store.read_table(path, *forms)
        )
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): restore or rerun it") from error


def _pace(times: tuple[store.Row, ...]) -> float | None:
    """Seconds an iteration; the median row, as one that was held up says nothing by it."""
    starts = (0.0, *(row["iteration"] for row in times))
    steps = [
        (row["seconds"], row["iteration"] - start)
        for row, start in zip(times, starts, strict=False)
    ]
    paces = [seconds / count for seconds, count in steps if count > 0 and math.isfinite(seconds)]
    return statistics.median(paces) if paces else None


def follow(
    folder: Path, show: Callable[[Seen], None], pause: Callable[[float], None] = time.sleep
) -> Seen:
    """Show a run again and again until it is over; returns it as it was last."""
    while True:
        seen = look(folder)
        show(seen)
        if seen.over:
            return seen
        pause(PAUSE)


def duration(seconds: float | None) -> str:
    """Seconds as `2 h 05 min`, `3 min 20 s` or `unknown`."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def percent(value: float | None) -> str:
    """An error with two decimals; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.2f}"


def plain_line(seen: Seen, row: store.Row, left: float | None = None) -> str:
    """A row of the record beside the paper's at the same iteration, as one line of text."""
    iteration = int(row["iteration"])
    parts = [
        f"{seen.run.arm} seed {seen.run.seed}: {iteration}/{seen.iterations}",
        f"train {percent(row['train_error'])} %",
        f"test {percent(row['test_error'])} %",
        f"lr {row['lr']:g}",
    ]
    if seen.paper is not None:
        at = seen.beside(iteration)
        errors = (percent(seen.paper.at("train", at)), percent(seen.paper.at("test", at)))
        parts.append(
            f"paper at {at}/{seen.paper.iterations}: train {errors[0]} %, test {errors[1]} %"
        )
    if left is not None:
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


def ending(seen: Seen) -> str:
    """One line for a run that is over."""
    if seen.state == "partial":
        return (
            f"{seen.run}: no process trains it; it is recorded up to iteration "
            f"{seen.iteration} of {seen.iterations}"
        )
    return f"{seen.run}: {seen.state}"


def paper_note(seen: Seen) -> str:
    """Which of the paper's curves is shown, and whether it was scaled to this run's schedule."""
    paper = seen.paper
    if paper is None:
        return "The paper draws no curve of such a run."
    if seen.scale == 1:
        return f"Paper ({paper.figure}): same iteration of the same schedule."
    factor = f"{seen.scale:,.2f}".rstrip("0").rstrip(".")
    return f"Paper ({paper.figure}): same part of training, its schedule {factor} times as long."
