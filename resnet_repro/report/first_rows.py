"""Where `short` first lowers the rate: ours beside Fig. 6 at the same iteration, and copies.

Up to there `short` is protocol `paper`, step for step. So a network that learns more slowly than
the paper's shows itself there, without the paper's full schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from resnet_repro.paper.copies import CopyStart, load_starts
from resnet_repro.paper.published import (
    SHORT_DROP,
    curve_name,
    first_drawn,
    last_above,
    value_at,
)
from resnet_repro.report.frames import Frames
from resnet_repro.report.prediction import SHORT
from resnet_repro.report.render import Grid
from resnet_repro.report.verdicts import Comparison, Outcome, summarise

SPLITS = {"train": "training error", "test": "test error"}
SHALLOWEST = "ResNet-20"
DEEPER = ("ResNet-32", "ResNet-44", "ResNet-56", "ResNet-110")
# Whose start Fig. 6 draws, once it is below the axis's 20 %.
DRAWN = (
    *(f"plain{d}" for d in (20, 32, 44, 56)),
    *(f"resnet{d}" for d in (20, 32, 44, 56, 110)),
)


@dataclass(frozen=True)
class Start:
    """An arm after SHORT_DROP iterations; errors in %, by split.

    paper: None where its curve is still above Fig. 6's axis; drawn: the iteration at which it
    enters. window: iterations that our training error is a mean over.
    """

    arm: str
    paper: dict[str, float | None]
    drawn: dict[str, int]
    ours: dict[str, Comparison]
    window: int
    copies: tuple[CopyStart, ...]


@dataclass(frozen=True)
class StartLine:
    """A line of the table: whose errors, and where they come from."""

    arm: str
    cells: tuple[str, ...]  # training error, test error
    iteration: int
    source: str
    caveat: str
    url: str = ""  # of a copy
    ours: bool = False


def starts(frames: Frames) -> list[Start]:
    """Every arm of DRAWN with runs under `short` that have a row there, in that order."""
    copies = load_starts()
    m = frames.metrics
    short = m[(m["dataset"] == "cifar10") & (m["protocol"] == SHORT)]
    found = []
    for arm in DRAWN:
        own = short[short["arm"] == arm]
        rows = own[own["iteration"] == SHORT_DROP].set_index("seed")
        runs = [
            run
            for run in frames.runs_of("cifar10", arm, SHORT)
            if run["status"] != "done" or run["seed"] in rows.index
        ]
        if not runs:
            continue
        network = str(curve_name(arm))
        earlier = own.loc[own["iteration"] < SHORT_DROP, "iteration"]
        found.append(
            Start(
                arm,
                {split: value_at("fig6", network, split, SHORT_DROP) for split in SPLITS},
                {split: first_drawn("fig6", network, split) for split in SPLITS},
                {split: summarise(_outcomes(runs, rows[f"{split}_error"])) for split in SPLITS},
                SHORT_DROP - max(earlier, default=0),
                tuple(copy for copy in copies if copy.arm == arm),
            )
        )
    return found


def _outcomes(runs: Sequence[dict[str, Any]], errors: pd.Series) -> list[Outcome]:
    """An outcome a run; one that diverged, then or later, has no error, and its arm no mean."""
    return [
        Outcome(run["seed"], float(errors[run["seed"]]))
        if run["status"] == "done"
        else Outcome(run["seed"], None, diverged=True)
        for run in runs
    ]


def start_lines(rows: Sequence[Start]) -> list[StartLine]:
    """Network by network: the paper's errors, ours with the difference, then the copies'."""
    lines = []
    for row in rows:
        entered = " and ".join(
            f"the {SPLITS[s]} from {row.drawn[s]:,}" for s in SPLITS if row.paper[s] is None
        )
        lines.append(
            StartLine(
                row.arm,
                tuple("over 20" if e is None else f"{e:.2f}" for e in row.paper.values()),
                SHORT_DROP,
                "the paper",
                f"read off Fig. 6, which draws {entered} on" if entered else "read off Fig. 6",
            )
        )
        lines.append(
            StartLine(
                row.arm,
                tuple(_ours(row, split) for split in SPLITS),
                SHORT_DROP,
                "this suite",
                f"n = {row.ours['train'].n}; training error over the {row.window} iterations "
                "up to there",
                ours=True,
            )
        )
        lines += [
            StartLine(
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


def _ours(row: Start, split: str) -> str:
    """The mean over our runs, with the difference from the paper where that is drawn."""
    mean, paper = row.ours[split].mean, row.paper[split]
    if mean is None:
        return row.ours[split].verdict
    return f"{mean:.2f}" if paper is None else f"{mean:.2f} ({mean - paper:+.2f})"


def start_grid(lines: Sequence[StartLine]) -> Grid:
    """As cells of text."""
    return Grid(
        ("network", "training error, %", "test error, %", "iteration", "source", "caveat"),
        tuple(
            (line.arm, *line.cells, f"{line.iteration:,}", line.source, line.caveat)
            for line in lines
        ),
    )


def start_words(rows: Sequence[Start]) -> str:
    """What to know of these numbers, and what they come to."""
    words = [
        f"Up to iteration {SHORT_DROP:,}, where it first lowers the rate, `{SHORT}` is protocol "
        "`paper`, step for step, so ours stand beside Fig. 6 at the same iteration, the "
        "difference in brackets. The paper does not say over which batches its training errors "
        "are. The rate is still high, and one test says little."
    ]
    gaps = {
        f"{row.arm}, {SPLITS[split]}": mean - paper
        for row in rows
        for split in SPLITS
        if (mean := row.ours[split].mean) is not None and (paper := row.paper[split]) is not None
    }
    if gaps:
        most = max(gaps, key=lambda name: gaps[name])
        words.append(
            f"Of the {len(gaps)} errors that Fig. 6 draws there, ours are above "
            f"{sum(gap > 0 for gap in gaps.values())}, at most by {gaps[most]:+.2f} points "
            f"({most})."
        )
    behind = {
        network: f"{last_above('fig6', network, SHALLOWEST, 'train'):,}"
        for network in DEEPER
        if (here := value_at("fig6", network, "train", SHORT_DROP)) is not None
        and (other := value_at("fig6", SHALLOWEST, "train", SHORT_DROP)) is not None
        and here >= other
    }
    words.append(
        f"In Fig. 6 itself the training errors of {' and '.join(behind)} are above {SHALLOWEST}'s "
        f"there, and last at iterations {' and '.join(behind.values())}."
    )
    return " ".join(words)
