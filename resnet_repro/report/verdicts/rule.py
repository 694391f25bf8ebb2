"""How close a result comes to what was published: the arithmetic, on plain numbers.

Errors, differences and half-widths are in percentage points. d = ours - published;
se = s * sqrt(1/n + 1/n_published), with s the standard deviation between seeds and df its degrees
of freedom; h = t(0.975, df) * se, half of the 95 % prediction interval. docs/verdicts.md says
what the words come to.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from resnet_repro.paper.published import TEST_SERVER, PublishedValue
from resnet_repro.report.statistics import Spread, half_width, standard_error, t_quantile

MARGIN = 0.5  # points: a difference shown to be smaller than this is called none
JUDGED = ("reproduced", "consistent", "better", "worse")  # verdicts by a known spread


@dataclass(frozen=True)
class Outcome:
    """What one run measured of one metric; `value` None when it is not finite."""

    seed: int
    value: float | None
    diverged: bool = False


@dataclass(frozen=True)
class Comparison:
    """Our runs beside a published value; None for what cannot be said.

    `verdict` is one of reproduced, consistent, better, worse, undetermined, reduced, missing,
    diverged, not comparable, holds, fails, equal, differs; empty where there is nothing to judge.
    """

    n: int
    verdict: str
    mean: float | None = None
    std: float | None = None  # between our seeds
    best: float | None = None  # the lowest of our seeds
    difference: float | None = None
    half_width: float | None = None


def verdict_of(difference: float, spread: Spread, n: int, n_published: int) -> str:
    """reproduced, consistent, better or worse; the lower error is the better one.

    `reproduced` comes first: of a difference that is shown to be smaller than MARGIN (two
    one-sided tests at 5 %) it does not matter that it is also shown not to be 0.
    """
    s, df = spread
    bound = abs(difference) + t_quantile(df, 0.95) * standard_error(s, n, n_published)
    if bound < MARGIN:
        return "reproduced"
    if abs(difference) <= half_width(spread, n, n_published):
        return "consistent"
    return "better" if difference < 0 else "worse"


def summarise(outcomes: Sequence[Outcome], verdict: str = "") -> Comparison:
    """Our runs alone. No mean once a run diverged: to average the others would drop it."""
    values = [o.value for o in outcomes if o.value is not None and not o.diverged]
    n = len(outcomes)
    if n == 0 or len(values) < n:
        return Comparison(n, "missing" if n == 0 else "diverged")
    return Comparison(
        n,
        verdict,
        mean=statistics.fmean(values),
        std=statistics.stdev(values) if n > 1 else None,
        best=min(values),
    )


def compare(ours: Sequence[float], published: PublishedValue, spread: Spread | None) -> Comparison:
    """Our seeds' values beside a published mean or single value, protocols being equal.

    Without a spread there is no interval, and the difference is shown but not judged.
    """
    own = summarise([Outcome(i, v) for i, v in enumerate(ours)])
    if own.mean is None:
        return own
    d = own.mean - published.value
    if spread is None:
        return dataclasses.replace(own, verdict="undetermined", difference=d)
    return dataclasses.replace(
        own,
        verdict=verdict_of(d, spread, own.n, published.n),
        difference=d,
        half_width=half_width(spread, own.n, published.n),
    )


def judge(
    outcomes: Sequence[Outcome],
    published: PublishedValue,
    spread: Spread | None,
    *,
    dataset: str,
    protocol: str,
) -> Comparison:
    """Our runs of one arm under one protocol beside what was published.

    A mean is only judged under the published protocol and data set, and never beside what a
    test server measured. A `best` of several runs has no verdict; a bound holds or fails by our
    mean.
    """
    own = summarise(outcomes)
    if own.mean is None:  # missing or diverged
        return own
    if dataset != published.dataset or published.split == TEST_SERVER:
        return summarise(outcomes, "not comparable")
    if published.statistic == "best":
        return own
    values = [o.value for o in outcomes if o.value is not None]
    found = compare(values, published, spread)
    reduced = protocol != published.protocol
    if published.bound:
        # A bound is no value, so there is neither a difference nor an interval.
        above = own.mean > published.value if published.bound == ">" else own.mean < published.value
        return summarise(outcomes, "reduced" if reduced else "holds" if above else "fails")
    if reduced:
        return dataclasses.replace(found, verdict="reduced")
    return found


def judge_exact(
    values: Sequence[int], published: PublishedValue | None, dataset: str
) -> Comparison:
    """Counted values (parameters, multiply-adds) at the precision the paper prints.

    No verdict where it prints none. The runs of an arm count the same; where they do not, that
    differs from any print.
    """
    if not values:
        return Comparison(0, "missing")
    n, mean = len(values), float(values[0])
    if published is None:
        return Comparison(n, "", mean)
    if dataset != published.dataset:
        return Comparison(n, "not comparable", mean)
    unit = Decimal(published.unit.split()[0])
    step = Decimal(1).scaleb(-published.decimals)
    printed = Decimal(published.text)
    same = all((Decimal(v) / unit).quantize(step, ROUND_HALF_UP) == printed for v in values)
    equal = same and len(set(values)) == 1
    return Comparison(n, "equal" if equal else "differs", mean)
