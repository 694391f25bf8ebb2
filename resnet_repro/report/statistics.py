"""Spreads between seeds, and the half-widths of 95 % intervals that follow from them.

Everything is in the unit of what was measured. A spread is a standard deviation between seeds with
its degrees of freedom.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

# The quantile function behind scipy.stats.t.ppf, without the second scipy.stats takes to import.
from scipy.special import stdtrit

Spread = tuple[float, int]  # standard deviation between seeds, degrees of freedom


def t_quantile(df: float, p: float = 0.975) -> float:
    """A quantile of Student's t distribution; the default bounds a 95 % interval."""
    return float(stdtrit(df, p))


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


def standard_error(s: float, n: int, n_published: int) -> float:
    """Of the difference of two means of so many runs, whose standard deviation is s."""
    return s * math.sqrt(1 / n + 1 / n_published)


def half_width(spread: Spread, n: int, n_published: int) -> float:
    """Half the 95 % prediction interval of the difference of two means, in points."""
    s, df = spread
    return t_quantile(df) * standard_error(s, n, n_published)


def own_half_width(higher: Sequence[float], lower: Sequence[float]) -> float | None:
    """Of the difference of two arms' means, by what their own seeds scatter; None without.

    Where only one of the two has several seeds, it lends its spread to the other.
    """
    spread = pooled_std([higher, lower], None)
    return None if spread is None else half_width(spread, len(higher), len(lower))


def family_half_width(a: Spread, n_a: int, b: Spread, n_b: int) -> float:
    """Of the difference of means of two families, each with its own spread (Welch).

    The degrees of freedom are Satterthwaite's.
    """
    va, vb = a[0] ** 2 / n_a, b[0] ** 2 / n_b
    if va + vb == 0:
        return 0.0
    df = (va + vb) ** 2 / (va**2 / a[1] + vb**2 / b[1])
    return t_quantile(df) * math.sqrt(va + vb)


def mean_half_width(spread: Spread, n: int) -> float:
    """Of a mean of n runs beside a number that is no measurement."""
    s, df = spread
    return t_quantile(df) * s / math.sqrt(n)
