"""Whether a claim holds: the arithmetic, on plain numbers.

Differences and half-widths are in the metric's unit. A half-width is that of the 95 % interval of
a difference of means, None where no spread between seeds is known; the claim then goes by the
sign alone, and its label says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.messages import _, joined
from resnet_repro.report.statistics import own_half_width

Curves = Sequence[Sequence[float]]  # of each seed, a value a row; all have the same rows


@dataclass(frozen=True)
class ClaimResult:
    """A claim's verdict: holds, fails, inconclusive, diverged, reduced or missing.

    n: runs of the higher and of the lower side, 0 for a side that is a number. `difference` is
    higher minus lower, of means over seeds (and rows). exact: counted, so that chance has no part
    in it.
    """

    verdict: str
    n: tuple[int, int] = (0, 0)
    difference: float | None = None
    half_width: float | None = None
    detail: str = ""
    exact: bool = False

    @property
    def label(self) -> str:
        """The verdict in words; without any spread a single seed knows nothing of chance."""
        judged = self.verdict in ("holds", "fails", "inconclusive")
        if judged and self.half_width is None and not self.exact:
            return _("{verdict} (one seed, spread unknown)", verdict=self.verdict)
        return self.verdict


def claim_higher(difference: float, h: float | None, n: tuple[int, int]) -> ClaimResult:
    """That the difference is above 0: its whole interval is; fails where all of it is below."""
    margin = h or 0.0
    verdict = (
        "holds" if difference > margin else "fails" if difference < -margin else "inconclusive"
    )
    return ClaimResult(verdict, n, difference, h, _("final values"))


def claim_near(
    difference: float, h: float | None, n: tuple[int, int], margin: float, by: float = 0.0
) -> ClaimResult:
    """That the difference lies less than `margin` from `by`, to whichever side.

    It holds when the whole 95 % interval does, fails when all of it lies beyond one side, and is
    inconclusive otherwise. (Two one-sided tests would ask for the 90 % interval only.)
    """
    away, width = abs(difference - by), h or 0.0
    if away + width < margin:
        verdict = "holds"
    elif away - width > margin:
        verdict = "fails"
    else:
        verdict = "inconclusive"
    expected = _("{difference:g} expected", difference=by) if by else ""
    within = _("margin {margin:g}", margin=margin)
    detail = joined(", ", (_("final values"), expected, within))
    return ClaimResult(verdict, n, difference, h, detail)


def claim_throughout(
    higher: Curves,
    lower: Curves,
    floor: float = 0.0,
    left_out: int = 0,
    *,
    stages: bool = False,
) -> ClaimResult:
    """That the difference, averaged over seeds, is above `floor` in every row.

    It fails when it is so in at most half of them. A row is beyond noise when it is above the
    floor by more than half the 95 % interval of that row's difference, from the two arms' own
    seeds; where neither has two, nobody knows, and nothing is said. left_out: rows that were not
    compared, as neither net had left chance. stages: whether a row counts once for each stage.
    """
    n = (len(higher), len(lower))
    a, b = (list(zip(*side, strict=True)) for side in (higher, lower))
    left = _("{n} at chance left out", n=left_out) if left_out else ""
    if not a:
        if left:
            return ClaimResult("inconclusive", n, detail=left)
        return ClaimResult("missing")
    rows = [statistics.fmean(x) - statistics.fmean(y) for x, y in zip(a, b, strict=True)]
    widths = [own_half_width(x, y) for x, y in zip(a, b, strict=True)]
    above, total = sum(d > floor for d in rows), len(rows)
    verdict = "holds" if above == total else "inconclusive" if 2 * above > total else "fails"
    h = own_half_width(*([statistics.fmean(seed) for seed in side] for side in (higher, lower)))
    beyond = sum(d - floor > w for d, w in zip(rows, widths, strict=True) if w is not None)
    counted = (
        _("in {n} of {total} rows and stages", n=above, total=total)
        if stages
        else _("in {n} of {total} rows", n=above, total=total)
    )
    noise = _("{n} beyond noise", n=beyond) if h is not None else ""
    detail = joined(", ", (counted, noise, left))
    return ClaimResult(verdict, n, statistics.fmean(rows), h, detail)


def claim_counted(higher: int, lower: int) -> ClaimResult:
    """That one count exceeds another."""
    verdict = "holds" if higher > lower else "fails"
    return ClaimResult(verdict, difference=float(higher - lower), detail=_("counted"), exact=True)
