"""Whether all judged differences of a table are consistent with the published values together.

Of many true results some lie outside their 95 % intervals by chance. Within a family, whose s is
shared, sum(d^2 / (1/n + 1/n_published)) / (k s^2) of k differences follows F(k, df). Families are
of disjoint runs, so their p-values are independent and are combined by Fisher's method. One
metric of a table alone takes part: others measure the same runs a second time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The distribution functions behind scipy.stats, without the second scipy.stats takes to import.
from scipy.special import chdtrc, fdtrc

from resnet_repro.messages import _
from resnet_repro.report.statistics import Spread

LEVEL = 0.05
SMALLEST = 1e-300  # of a p-value whose logarithm is taken


@dataclass(frozen=True)
class Difference:
    """Ours minus published, in points, and how many runs stand on either side."""

    points: float
    n: int
    n_published: int


@dataclass(frozen=True)
class FamilyTest:
    """A family's F statistic with `arms` and `df` degrees of freedom, and its p-value."""

    family: str
    arms: int
    df: int
    f: float
    p: float


@dataclass(frozen=True)
class Joint:
    """The joint test of a table's metric; p is of all families together."""

    metric: str
    dataset: str
    families: tuple[FamilyTest, ...]
    p: float

    @property
    def verdict(self) -> str:
        return _("consistent together") if self.p >= LEVEL else _("not consistent together")


def family_test(family: str, differences: Sequence[Difference], spread: Spread) -> FamilyTest:
    """The F test of one family, whose differences share a spread."""
    s, df = spread
    k = len(differences)
    total = math.fsum(d.points**2 / (1 / d.n + 1 / d.n_published) for d in differences)
    f = total / (k * s**2) if s > 0 else math.inf if total > 0 else 0.0
    return FamilyTest(family, k, df, f, float(fdtrc(k, df, f)) if f < math.inf else 0.0)


def combine(p_values: Sequence[float]) -> float:
    """Fisher's method: the p-value of independent ones together; one is itself."""
    if len(p_values) == 1:
        return p_values[0]
    statistic = -2 * math.fsum(math.log(max(p, SMALLEST)) for p in p_values)
    return float(chdtrc(2 * len(p_values), statistic))


def joint_test(
    metric: str, dataset: str, families: Mapping[str, tuple[Sequence[Difference], Spread]]
) -> Joint | None:
    """The test over all families' differences; None of a single one, which its verdict judges."""
    if sum(len(differences) for differences, _ in families.values()) < 2:
        return None
    tests = tuple(family_test(name, *families[name]) for name in sorted(families))
    return Joint(metric, dataset, tests, combine([test.p for test in tests]))
