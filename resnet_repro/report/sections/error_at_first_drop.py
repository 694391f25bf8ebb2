"""The first rows of the runs under the paper's protocol, beside Fig. 6 at the same iterations.

A network that learns more slowly than the paper's shows itself here, long before its last error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from resnet_repro.markup import Grid
from resnet_repro.paper.other_reproductions import ReproductionStart, load_starts
from resnet_repro.paper.published import (
    PAPER_PROTOCOL,
    curve_name,
    first_drawn,
    value_at,
)
from resnet_repro.report.load.frames import Frames, Run
from resnet_repro.report.verdicts.rule import Comparison, Outcome, summarise

COMPARED_AT = (3_000, 4_000, 8_000)  # the first two: where Fig. 6 begins to draw residual nets
COPIES_WITHIN = 200  # iterations: a copy logs its epochs, of 391 iterations each
SPLITS = {"train": "training error", "test": "test error"}
# Whose start Fig. 6 draws, once it is below the axis's 20 %.
DRAWN = (
    *(f"plain{d}" for d in (20, 32, 44, 56)),
    *(f"resnet{d}" for d in (20, 32, 44, 56, 110)),
)


@dataclass(frozen=True)
class FirstRow:
    """An arm after `iteration` iterations; errors in %, by split.

    paper: None where its curve is still above Fig. 6's axis; drawn: the iteration at which it
    enters. window: iterations that our training error is a mean over.
    """

    arm: str
    iteration: int
    paper: dict[str, float | None]
    drawn: dict[str, int]
    ours: dict[str, Comparison]
    window: int
    copies: tuple[ReproductionStart, ...]


@dataclass(frozen=True)
class FirstLine:
    """A line of the table: whose errors, and where they come from."""

    arm: str
    cells: tuple[str, ...]  # training error, test error
    iteration: int
    source: str
    caveat: str
    url: str = ""  # of a copy
    ours: bool = False


def first_rows(frames: Frames) -> list[FirstRow]:
    """Every arm of DRAWN with runs under `paper`, at each of COMPARED_AT that has a row."""
    m = frames.metrics
    metrics = m[(m["dataset"] == "cifar10") & (m["protocol"] == PAPER_PROTOCOL)]
    found = (
        _first_row(arm, iteration, frames, metrics[metrics["arm"] == arm])
        for arm in DRAWN
        for iteration in COMPARED_AT
    )
    return [row for row in found if row is not None]


def _first_row(arm: str, iteration: int, frames: Frames, metrics: pd.DataFrame) -> FirstRow | None:
    here = metrics[metrics["iteration"] == iteration].set_index("seed")
    runs = [
        run
        for run in frames.runs_of("cifar10", arm, PAPER_PROTOCOL)
        if run.status != "done" or run.seed in here.index
    ]
    if not runs:
        return None
    network = str(curve_name(arm))
    earlier = metrics.loc[metrics["iteration"] < iteration, "iteration"]
    return FirstRow(
        arm,
        iteration,
        {split: value_at("fig6", network, split, iteration) for split in SPLITS},
        {split: first_drawn("fig6", network, split) for split in SPLITS},
        {split: summarise(_outcomes(runs, here[f"{split}_error"])) for split in SPLITS},
        iteration - max(earlier, default=0),
        tuple(
            copy
            for copy in load_starts()
            if copy.arm == arm and abs(copy.iteration - iteration) <= COPIES_WITHIN
        ),
    )


def _outcomes(runs: Sequence[Run], errors: pd.Series) -> list[Outcome]:
    """An outcome a run; one that diverged, then or later, has no error, and its arm no mean."""
    return [
        Outcome(run.seed, float(errors[run.seed]))
        if run.status == "done"
        else Outcome(run.seed, None, diverged=True)
        for run in runs
    ]


def first_lines(rows: Sequence[FirstRow]) -> list[FirstLine]:
    """Network by network: the paper's errors, ours with the difference, then the copies'."""
    lines = []
    for row in rows:
        entered = " and ".join(
            f"the {SPLITS[s]} from {row.drawn[s]:,}" for s in SPLITS if row.paper[s] is None
        )
        lines.append(
            FirstLine(
                row.arm,
                tuple("over 20" if e is None else f"{e:.2f}" for e in row.paper.values()),
                row.iteration,
                "the paper",
                f"read off Fig. 6, which draws {entered} on" if entered else "read off Fig. 6",
            )
        )
        lines.append(
            FirstLine(
                row.arm,
                tuple(_ours(row, split) for split in SPLITS),
                row.iteration,
                "this suite",
                f"n = {row.ours['train'].n}; training error over the {row.window} iterations "
                "up to there",
                ours=True,
            )
        )
        lines += [
            FirstLine(
                row.arm,
                ("" if c.train_error is None else f"{c.train_error:.2f}", f"{c.test_error:.2f}"),
                c.iteration,
                c.source,
                c.note,
                url=c.url,
            )
            for c in row.copies
        ]
    return lines


def _ours(row: FirstRow, split: str) -> str:
    """The mean over our runs, with the difference from the paper where that is drawn."""
    mean, paper = row.ours[split].mean, row.paper[split]
    if mean is None:
        return row.ours[split].verdict
    return f"{mean:.2f}" if paper is None else f"{mean:.2f} ({mean - paper:+.2f})"


def first_grid(lines: Sequence[FirstLine]) -> Grid:
    """As cells of text."""
    return Grid(
        ("network", "training error, %", "test error, %", "iteration", "source", "caveat"),
        tuple(
            (line.arm, *line.cells, f"{line.iteration:,}", line.source, line.caveat)
            for line in lines
        ),
    )


def first_words(rows: Sequence[FirstRow]) -> str:
    """What to know of these numbers, and what they come to."""
    words = [
        "Ours stand beside Fig. 6 at the same iteration, the difference in brackets. Our training "
        "error is a mean over the iterations since the row before; a point of the figure is a "
        "sample of a few thousand images, with 1 to 1.5 points of noise this early. The rate is "
        "still high, and one test says little."
    ]
    gaps = {
        f"{row.arm}, {SPLITS[split]}, iteration {row.iteration:,}": mean - paper
        for row in rows
        for split in SPLITS
        if (mean := row.ours[split].mean) is not None and (paper := row.paper[split]) is not None
    }
    if gaps:
        most = max(gaps, key=lambda name: abs(gaps[name]))
        words.append(
            f"Of the {len(gaps)} errors that Fig. 6 draws there, ours are above "
            f"{sum(gap > 0 for gap in gaps.values())}; the largest difference is "
            f"{gaps[most]:+.2f} points ({most})."
        )
    return " ".join(words)
