"""How well the protocol `quarter` predicts the paper's: each arm's test error under both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.markup import Grid
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.seeds import outcomes
from resnet_repro.report.verdicts.rule import summarise

QUARTER = "quarter"


@dataclass(frozen=True)
class Predicted:
    """An arm's mean test errors in %, and how many seeds each stands for."""

    dataset: str
    arm: str
    quarter: float
    n_quarter: int
    full: float
    n_full: int


def predictions(frames: Frames) -> list[Predicted]:
    """Every arm with finished runs under both protocols, by the paper's error, lowest first.

    An arm of which a run diverged has no mean, and is left out.
    """
    found = []
    datasets = sorted({run.dataset for run in frames.runs})
    for dataset, arm in ((d, arm) for d in datasets for arm in frames.arms(d)):
        quarter, full = (
            summarise(outcomes(frames, dataset, arm, protocol, "test_error"))
            for protocol in (QUARTER, PAPER_PROTOCOL)
        )
        if quarter.mean is not None and full.mean is not None:
            found.append(Predicted(dataset, arm, quarter.mean, quarter.n, full.mean, full.n))
    return sorted(found, key=lambda p: (p.dataset, p.full, p.arm))


def spearman(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The correlation of the ranks, ties sharing theirs; None where one side has one rank only.

    Written out because scipy.stats takes longer to import than the report to write.
    """
    ranks = [_ranks(values) for values in (a, b)]
    if any(len(set(r)) < 2 for r in ranks):
        return None
    return statistics.correlation(*ranks)


def _ranks(values: Sequence[float]) -> list[float]:
    """1 for the lowest; equal values have the mean of the ranks they share."""
    ordered = sorted(values)
    return [ordered.index(v) + (ordered.count(v) + 1) / 2 for v in values]


def prediction_grid(rows: Sequence[Predicted]) -> Grid:
    """As cells of text."""
    return Grid(
        ("arm", f"{QUARTER}, test error, %", f"{PAPER_PROTOCOL}, test error, %", "difference"),
        tuple(
            (
                row.arm,
                f"{row.quarter:.2f} (n = {row.n_quarter})",
                f"{row.full:.2f} (n = {row.n_full})",
                f"{row.full - row.quarter:+.2f}",
            )
            for row in rows
        ),
    )


def agreement(rows: Sequence[Predicted]) -> str:
    """One line: how well the ranks agree, data set by data set."""
    if not rows:
        return f"No arm has a record under both `{QUARTER}` and `{PAPER_PROTOCOL}` yet."
    lines = []
    for dataset in sorted({row.dataset for row in rows}):
        here = [row for row in rows if row.dataset == dataset]
        pairs = [r.quarter for r in here], [r.full for r in here]
        rho = spearman(*pairs) if len(here) >= 3 else None
        if rho is None or math.isnan(rho):
            told = f"too few arms ({len(here)}) to compare ranks"
        else:
            told = f"rank agreement of {len(here)} arms (Spearman): {rho:.2f}"
        lines.append(f"{dataset}: {told}.")
    return " ".join(lines)
