"""How close a result comes to what was published: the arithmetic, on plain numbers.

Errors, differences and half-widths are in percentage points. d = ours - published;
h = t(0.975, df) * s * sqrt(1/n + 1/n_published), with s the standard deviation between seeds.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

# The quantile function behind scipy.stats.t.ppf, without the second scipy.stats takes to import.
from scipy.special import stdtrit

from resnet_repro.paper.published import TEST_SERVER, PublishedValue

WIDE = 0.5  # points: an interval wider than this to either side settles nothing

Spread = tuple[float, int]  # standard deviation between seeds, degrees of freedom


@dataclass(frozen=True)
class Outcome:
    """What one run measured of one metric; `value` None when it is not finite."""

    seed: int
    value: float | None
    diverged: bool = False


@dataclass(frozen=True)
class Comparison:
    """Our runs beside a published value; None for what cannot be said.

    `verdict` is one of reproduced, inconclusive, better, worse, reduced, missing, diverged,
    not comparable, holds, fails, equal, differs; empty where there is nothing to judge.
    """

    n: int
    verdict: str
    mean: float | None = None
    std: float | None = None  # between our seeds
    best: float | None = None  # the lowest of our seeds
    difference: float | None = None
    half_width: float | None = None


@dataclass(frozen=True)
class ClaimResult:
    """A claim's verdict: holds, fails, inconclusive, diverged or missing.

    `difference` is higher minus lower, averaged over seeds (and rows).
    """

    n: int
    verdict: str
    difference: float | None = None
    half_width: float | None = None
    detail: str = ""

    @property
    def label(self) -> str:
        """The verdict in words; a single seed knows nothing of chance, so it is named."""
        judged = self.verdict in ("holds", "fails", "inconclusive")
        return f"{self.verdict} (one seed)" if self.n == 1 and judged else self.verdict


def t_quantile(df: float) -> float:
    """The 97.5 % quantile of Student's t distribution."""
    return float(stdtrit(df, 0.975))


def pooled_std(groups: Iterable[Sequence[float]], prior: Spread | None) -> Spread | None:
    """The standard deviation between seeds, pooled over arms and the prior by their df.

    groups: the seeds' values of each arm. None when neither two seeds nor a prior are there.
    """
    parts = [(statistics.variance(g), len(g) - 1) for g in groups if len(g) >= 2]
    if prior is not None:
        parts.append((prior[0] ** 2, prior[1]))
    df = sum(d for _, d in parts)
    if df == 0:
        return None
    # fsum: the order of the arms must not decide the last digit.
    return math.sqrt(math.fsum(v * d for v, d in parts) / df), df


def half_width(spread: Spread, n: int, n_published: int) -> float:
    """Half the 95 % interval of the difference of two means, in points."""
    s, df = spread
    return t_quantile(df) * s * math.sqrt(1 / n + 1 / n_published)


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


def compare(
    ours: Sequence[float], published: PublishedValue, s: float | None, df: int
) -> Comparison:
    """Our seeds' values beside a published mean or single value, protocols being equal.

    Without `s` there is no interval and nothing is settled.
    """
    own = summarise([Outcome(i, v) for i, v in enumerate(ours)])
    if own.mean is None:
        return own
    d = own.mean - published.value
    h = None if s is None else half_width((s, df), own.n, published.n)
    if h is None:
        verdict = "inconclusive"
    elif abs(d) <= h:
        verdict = "reproduced" if h <= WIDE else "inconclusive"
    else:
        verdict = "better" if d < 0 else "worse"
    return Comparison(own.n, verdict, own.mean, own.std, own.best, d, h)


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
    s, df = spread or (None, 0)
    values = [o.value for o in outcomes if o.value is not None]
    found = compare(values, published, s, df)
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


def claim_final(differences: Sequence[float]) -> ClaimResult:
    """A claim about final values, from each seed's higher minus lower."""
    n = len(differences)
    if n == 0:
        return ClaimResult(0, "missing")
    mean = statistics.fmean(differences)
    h = _paired_half_width(differences)
    margin = h or 0.0
    verdict = "holds" if mean > margin else "fails" if mean < -margin else "inconclusive"
    return ClaimResult(n, verdict, mean, h, "final values")


def claim_similar(differences: Sequence[float], margin: float) -> ClaimResult:
    """A claim that final values differ by less than `margin`, whichever is higher.

    It holds when the whole 95 % interval of the mean difference lies within the margin to either
    side, fails when all of it lies beyond one of them, and is inconclusive otherwise. (Two
    one-sided tests would ask for the 90 % interval only.) A single seed has no interval.
    """
    n = len(differences)
    if n == 0:
        return ClaimResult(0, "missing")
    mean = statistics.fmean(differences)
    h = _paired_half_width(differences)
    width = h or 0.0
    if abs(mean) + width < margin:
        verdict = "holds"
    elif abs(mean) - width > margin:
        verdict = "fails"
    else:
        verdict = "inconclusive"
    return ClaimResult(n, verdict, mean, h, f"final values, margin {margin:.2f}")


def claim_throughout(differences: Sequence[Sequence[float]], floor: float = 0.0) -> ClaimResult:
    """A claim about every recorded row, from each seed's row of higher minus lower.

    The seeds have the same rows. It holds when the difference, averaged over seeds, is above
    `floor` in every row, and fails when it is so in at most half of them.
    """
    n = len(differences)
    if n == 0 or not differences[0]:
        return ClaimResult(0, "missing")
    rows = [statistics.fmean(column) for column in zip(*differences, strict=True)]
    above = sum(d > floor for d in rows)
    total = len(rows)
    verdict = "holds" if above == total else "inconclusive" if 2 * above > total else "fails"
    h = _paired_half_width([statistics.fmean(seed) for seed in differences])
    return ClaimResult(n, verdict, statistics.fmean(rows), h, f"in {above} of {total} rows")


def _paired_half_width(differences: Sequence[float]) -> float | None:
    n = len(differences)
    if n < 2:
        return None
    return t_quantile(n - 1) * statistics.stdev(differences) / math.sqrt(n)
