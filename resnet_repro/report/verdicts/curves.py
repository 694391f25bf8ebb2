"""The recorded rows that a claim about the course of training compares."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from resnet_repro.messages import _
from resnet_repro.records import schema
from resnet_repro.records.datasets import DATASETS, Facts
from resnet_repro.report.load.frames import LABELS, Frames, Run
from resnet_repro.report.verdicts.claims import Curves

Key = tuple[int, str]  # iteration, column

# The stages a gradient reaches only through the layers behind them; it always reaches the last.
BEFORE_FC = schema.STAGES[:-1]

# Three standard deviations of the error that guessing among ten classes has on 1,300 images, in
# points; a row averages more.
CHANCE_NOISE = 2.5


def at_chance(dataset: str) -> float:
    """The training error in % above which a net of that data set has not left chance.

    That is what guessing gets wrong, less noise; of a data set whose classes are not known, what
    no error exceeds.
    """
    classes = DATASETS.get(dataset, Facts()).classes
    return 100 * (1 - 1 / classes) - CHANCE_NOISE if classes else 100.0


def past_chance(
    metric: str, dataset: str, keys: list[Key], a: Curves, b: Curves
) -> tuple[list[Key], Curves, Curves, int]:
    """The rows from the first on in which either net has left chance, and how many were before.

    Two nets that only guess differ by the images they guess on. Of training errors alone: what
    else is measured is not made of guesses.
    """
    if metric != "train_error":
        return keys, a, b, 0
    chance = at_chance(dataset)
    rows = zip(row_means(a), row_means(b), strict=True)
    start = next((i for i, row in enumerate(rows) if min(row) <= chance), len(keys))
    return keys[start:], [seed[start:] for seed in a], [seed[start:] for seed in b], start


def row_means(side: Curves) -> list[float]:
    """Each row's mean over the runs."""
    return [statistics.fmean(row) for row in zip(*side, strict=True)]


def mean_of(side: Curves) -> float | None:
    """Over runs and rows; None without any."""
    values = [value for rows in side for value in rows]
    return statistics.fmean(values) if values else None


def smallest_ratio(keys: list[Key], a: Curves, b: Curves) -> str:
    """Where the norms' ratio is smallest; a and b are logarithms. Empty without rows."""
    if not keys:
        return ""
    ratios = [x - y for x, y in zip(row_means(a), row_means(b), strict=True)]
    low, (iteration, stage) = min(zip(ratios, keys, strict=True))
    return _(
        "smallest ratio {ratio:.2g} ({stage}, iteration {iteration:,})",
        ratio=10**low,
        stage=stage,
        iteration=iteration,
    )


def shared_rows(
    metric: str, frames: Frames, *sides: Sequence[Run]
) -> tuple[list[Key], list[Curves]]:
    """Each run's values at the iterations that all of these runs have a row for.

    The keys say which value is which; of a gradient there is one for each stage, as a logarithm.
    """
    gradients = metric == "gradient_norm"
    frame = frames.gradients if gradients else frames.metrics
    names = BEFORE_FC if gradients else (metric,)
    curves: dict[tuple[object, ...], dict[Key, float]] = {}
    for name in names:
        columns = (frame[c].tolist() for c in (*LABELS, "iteration", name))
        for *run, iteration, value in zip(*columns, strict=True):
            if name == "layer4" and math.isnan(value):
                continue  # a CIFAR network has none
            here = _log(float(value)) if gradients else float(value)
            curves.setdefault(tuple(run), {})[int(iteration), name] = here
    found = [[curves.get(r.labels, {}) for r in runs] for runs in sides]
    shared = sorted(set.intersection(*(set(c) for side in found for c in side)))
    return shared, [[[curve[key] for key in shared] for curve in side] for side in found]


def _log(norm: float) -> float:
    """log10; a norm of 0 is taken for the smallest that fp32 tells from it."""
    return math.log10(max(norm, 1e-38))
