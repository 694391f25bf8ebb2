"""The claims of an artifact, judged by every seed that either of a claim's sides has."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.messages import _, joined
from resnet_repro.paper.artifacts import Arm, Artifact, Claim
from resnet_repro.paper.published import PublishedValue, table_values
from resnet_repro.records.metrics import COUNTED
from resnet_repro.report.load.frames import Frames, Run, sort_protocols
from resnet_repro.report.load.seeds import POOLED, counts, family, spread
from resnet_repro.report.statistics import (
    family_half_width,
    half_width,
    mean_half_width,
    own_half_width,
    pooled_std,
)
from resnet_repro.report.verdicts.claims import (
    ClaimResult,
    Curves,
    claim_counted,
    claim_higher,
    claim_near,
    claim_throughout,
)
from resnet_repro.report.verdicts.curves import (
    Key,
    mean_of,
    past_chance,
    row_means,
    shared_rows,
    smallest_ratio,
)


@dataclass(frozen=True)
class ClaimRow:
    """A claim under one protocol. Means in the metric's unit, over the seeds and rows compared.

    The protocol is empty where it does not matter (parameters, multiply-adds).
    """

    claim: Claim
    dataset: str
    protocol: str
    result: ClaimResult
    higher_seeds: tuple[int, ...] = ()
    lower_seeds: tuple[int, ...] = ()
    higher_mean: float | None = None
    lower_mean: float | None = None


@dataclass(frozen=True)
class _Side:
    """One side of a claim: an arm with its runs, or a number, measured by others or not."""

    name: str
    arm: Arm | None = None
    runs: tuple[Run, ...] = ()
    quoted: PublishedValue | None = None
    value: float | None = None

    @property
    def n(self) -> int:
        return len(self.runs) if self.arm else self.quoted.n if self.quoted else 0

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.seed for run in self.runs)

    def values(self, metric: str) -> list[float]:
        """The final value of each run; the number itself without an arm."""
        if self.arm:
            return [run.values[metric] for run in self.runs]
        number = self.quoted.value if self.quoted else self.value
        return [] if number is None else [number]


def claim_rows(artifact: Artifact, frames: Frames) -> list[ClaimRow]:
    """A row per claim and protocol under which its arms have a seed; `missing` without any."""
    rows: list[ClaimRow] = []
    for claim in artifact.claims:
        sides = _sides(artifact, claim)
        arms = [side.arm for side in sides if side.arm]
        dataset = arms[0].dataset
        if claim.metric in COUNTED:
            rows.append(_counted(artifact, claim, dataset, sides, frames))
            continue
        found = []
        for protocol in sort_protocols(
            p for arm in arms for p in frames.protocols_of(arm.dataset, arm.name)
        ):
            run = [_with_runs(side, claim, protocol, frames) for side in sides]
            if all(side.runs for side in run if side.arm):
                found.append(_judge(claim, dataset, protocol, frames, *run))
        nothing = ClaimRow(claim, dataset, artifact.protocol, ClaimResult("missing"))
        rows += found or [nothing]
    return rows


def quoted_value(artifact: Artifact, row: str, metric: str) -> PublishedValue:
    """What a line of the artifact's table says of other work: its value, or its mean.

    Raises KeyError for a line that the table does not quote.
    """
    name = "top1_error" if metric.endswith("top1_error") else metric
    for value in table_values(artifact.name, row):
        if value.metric == name and value.statistic not in ("best", "std") and not value.own:
            return value
    raise KeyError(f"{artifact.name} quotes no {name} of {row!r}")


def _sides(artifact: Artifact, claim: Claim) -> tuple[_Side, _Side]:
    arms = {arm.name: arm for arm in artifact.arms}

    def side(name: str) -> _Side:
        if name in arms:
            return _Side(name, arms[name])
        if not name:
            return _Side("", value=claim.value)
        return _Side(name, quoted=quoted_value(artifact, name, claim.metric))

    return side(claim.higher), side(claim.lower)


def _with_runs(side: _Side, claim: Claim, protocol: str, frames: Frames) -> _Side:
    """The side with its runs; one that was not evaluated for the metric is as good as none."""
    if side.arm is None:
        return side
    found = frames.runs_of(side.arm.dataset, side.arm.name, protocol)
    runs = tuple(run for run in found if not run.unevaluated(claim.metric))
    return dataclasses.replace(side, runs=runs)


def _counted(
    artifact: Artifact, claim: Claim, dataset: str, sides: tuple[_Side, _Side], frames: Frames
) -> ClaimRow:
    numbers: list[int] = []
    for side in sides:
        if side.arm:
            numbers += counts(artifact, side.arm, claim.metric, frames)[:1]
        elif side.quoted:
            numbers.append(round(side.quoted.value * float(side.quoted.unit.split()[0])))
    if len(numbers) < 2:
        return ClaimRow(claim, dataset, "", ClaimResult("missing"))
    higher, lower = numbers
    result = claim_counted(higher, lower)
    return ClaimRow(claim, dataset, "", result, higher_mean=higher, lower_mean=lower)


def _judge(
    claim: Claim, dataset: str, protocol: str, frames: Frames, higher: _Side, lower: _Side
) -> ClaimRow:
    runs = [*higher.runs, *lower.runs]
    row = ClaimRow(claim, dataset, protocol, ClaimResult("missing"), higher.seeds, lower.seeds)
    n = higher.n, lower.n
    bad = _named([run for run in runs if run.status != "done" or _lost(run, claim.metric)])
    if bad:
        return dataclasses.replace(row, result=ClaimResult("diverged", n, detail=bad))
    never = _named([run for run in runs if math.isnan(run.values[claim.metric])])
    if never:  # a warm-up that went on to the end of training
        result = ClaimResult("fails", n, detail=_("never in {runs}", runs=never), exact=True)
        return dataclasses.replace(row, result=result)
    a: Curves
    b: Curves
    if claim.scope == "final":
        a, b = ([[v] for v in side.values(claim.metric)] for side in (higher, lower))
        result = _final(claim, protocol, frames, higher, lower)
    else:
        keys, (a, b) = shared_rows(claim.metric, frames, higher.runs, lower.runs)
        if claim.value is not None:
            b = [[claim.value] * len(keys)]
        if claim.scope == "first":
            a, b = ([seed[:1] for seed in side] for side in (a, b))
            result = _first(claim, keys, n, a, b)
        else:
            keys, a, b, left_out = past_chance(claim.metric, dataset, keys, a, b)
            floor = math.log10(claim.factor) if claim.metric == "gradient_norm" else 0.0
            stages = claim.metric == "gradient_norm"
            result = claim_throughout(a, b, floor, left_out, stages=stages)
            if stages:
                detail = joined(", ", (result.detail, smallest_ratio(keys, a, b)))
                result = dataclasses.replace(result, detail=detail)
    return dataclasses.replace(row, result=result, higher_mean=mean_of(a), lower_mean=mean_of(b))


def _named(runs: Sequence[Run]) -> str:
    return joined(", ", [_("{arm} seed {seed}", arm=run.arm, seed=run.seed) for run in runs])


def _lost(run: Run, metric: str) -> bool:
    """Whether a run's metric is not finite; a warm-up may have no end, which is a result."""
    return metric != "warmup_ended" and math.isnan(run.values[metric])


def _final(claim: Claim, protocol: str, frames: Frames, higher: _Side, lower: _Side) -> ClaimResult:
    n = higher.n, lower.n
    a, b = higher.values(claim.metric), lower.values(claim.metric)
    difference = statistics.fmean(a) - statistics.fmean(b)
    h = _half_width(claim.metric, protocol, frames, higher, lower)
    if claim.margin is not None:
        result = claim_near(difference, h, n, claim.margin, claim.by)
    else:
        result = claim_higher(difference, h, n)
    published = higher.quoted or lower.quoted
    if published and protocol != published.protocol:
        return dataclasses.replace(result, verdict="reduced")
    return result


def _half_width(
    metric: str, protocol: str, frames: Frames, higher: _Side, lower: _Side
) -> float | None:
    """Of the difference of final values: by the families' pooled spreads, or the arms' own.

    What was quoted or is a number has no spread of its own; what was quoted is taken to scatter
    as the arm beside it does.
    """
    sides = [side for side in (higher, lower) if side.arm]
    if metric not in POOLED and len(sides) == 2:
        return own_half_width(higher.values(metric), lower.values(metric))
    spreads = [spread(frames, side.arm, metric, protocol) for side in sides if side.arm]
    first, last = spreads[0], spreads[-1]
    if first is None or last is None:
        return None
    if len(sides) == 1:
        other = lower if higher.arm else higher
        if other.quoted:
            return half_width(first, sides[0].n, other.n)
        return mean_half_width(first, sides[0].n)
    kinds = {family(side.arm.network) for side in sides if side.arm}
    if len(kinds) == 1:
        return half_width(first, higher.n, lower.n)
    return family_half_width(first, higher.n, last, lower.n)


def _first(claim: Claim, keys: list[Key], n: tuple[int, int], a: Curves, b: Curves) -> ClaimResult:
    """Of the first rows, by what the seeds scatter there."""
    if not keys:
        return ClaimResult("missing")
    [x], [y] = row_means(a), row_means(b)
    seeds = [row[0] for row in a]
    if claim.value is None:
        h = own_half_width(seeds, [row[0] for row in b])
    else:
        own = pooled_std([seeds], None)
        h = mean_half_width(own, len(seeds)) if own else None
    result = claim_higher(x - y, h, n)
    return dataclasses.replace(
        result, detail=_("first rows, iteration {iteration:,}", iteration=keys[0][0])
    )
