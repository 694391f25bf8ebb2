"""The claims of an artifact, judged by the seeds that both of a claim's arms have."""

from __future__ import annotations

import dataclasses
import math
import statistics
from dataclasses import dataclass
from typing import Any

from resnet_repro.artifacts import Artifact, Claim
from resnet_repro.records import schema
from resnet_repro.report.evaluated import unevaluated
from resnet_repro.report.frames import LABELS, Frames
from resnet_repro.report.verdicts import (
    ClaimResult,
    claim_final,
    claim_similar,
    claim_throughout,
)

Run = dict[str, Any]  # a row of Frames.runs
Key = tuple[int, str]  # iteration, column

# The stages a gradient reaches only through the layers behind them; it always reaches the last.
STAGES = schema.STAGES[:-1]


@dataclass(frozen=True)
class ClaimRow:
    """A claim under one protocol. Means in %, over the seeds and the rows compared."""

    claim: Claim
    dataset: str
    protocol: str
    result: ClaimResult
    seeds: tuple[int, ...] = ()
    higher_mean: float | None = None
    lower_mean: float | None = None


def claim_rows(artifact: Artifact, frames: Frames) -> list[ClaimRow]:
    """A row per claim and protocol under which both arms have a seed; `missing` without any."""
    rows: list[ClaimRow] = []
    for claim in artifact.claims:
        pairs = _pairs(artifact, claim, frames)
        dataset = artifact.arm(claim.higher).dataset
        rows += [
            _judge(claim, dataset, protocol, frames, *pair) for protocol, pair in pairs.items()
        ]
        if not pairs:
            rows.append(ClaimRow(claim, dataset, artifact.protocol, ClaimResult(0, "missing")))
    return rows


def _pairs(
    artifact: Artifact, claim: Claim, frames: Frames
) -> dict[str, tuple[list[Run], list[Run]]]:
    """For each protocol the runs of both arms, restricted to the seeds they share.

    A run that was not evaluated for the claim's metric is as good as none.
    """
    higher, lower = artifact.arm(claim.higher), artifact.arm(claim.lower)
    pairs = {}
    for protocol in frames.protocols_of(higher.dataset, higher.name):
        a, b = (
            [
                run
                for run in frames.runs_of(arm.dataset, arm.name, protocol)
                if not unevaluated(run, claim.metric)
            ]
            for arm in (higher, lower)
        )
        shared = {run["seed"] for run in a} & {run["seed"] for run in b}
        if shared:
            pairs[protocol] = (
                [run for run in a if run["seed"] in shared],
                [run for run in b if run["seed"] in shared],
            )
    return pairs


def _judge(
    claim: Claim, dataset: str, protocol: str, frames: Frames, higher: list[Run], lower: list[Run]
) -> ClaimRow:
    seeds = tuple(int(run["seed"]) for run in higher)
    bad = [
        f"{run['arm']} seed {run['seed']}"
        for run in [*higher, *lower]
        if run["status"] != "done" or math.isnan(run[claim.metric])
    ]
    if bad:
        result = ClaimResult(len(seeds), "diverged", detail=", ".join(bad))
        return ClaimRow(claim, dataset, protocol, result, seeds)
    if claim.scope == "final":
        a = [[float(run[claim.metric])] for run in higher]
        b = [[float(run[claim.metric])] for run in lower]
        d = [x[0] - y[0] for x, y in zip(a, b, strict=True)]
        result = claim_final(d) if claim.margin is None else claim_similar(d, claim.margin)
    else:
        keys, a, b = _shared_rows(claim, frames, higher, lower)
        rows = [[p - q for p, q in zip(x, y, strict=True)] for x, y in zip(a, b, strict=True)]
        if claim.scope == "first":
            a, b = ([seed[:1] for seed in side] for side in (a, b))
            result = claim_final([seed[0] for seed in rows if seed])
            where = f"first rows, iteration {keys[0][0]:,}" if keys else ""
            result = dataclasses.replace(result, detail=where)
        elif claim.metric == "gradient_norm":
            result = claim_throughout(rows, math.log10(claim.factor))
            result = dataclasses.replace(result, detail=_smallest(keys, rows, result.detail))
        else:
            result = claim_throughout(rows)
    return ClaimRow(claim, dataset, protocol, result, seeds, _mean(a), _mean(b))


def _mean(seeds: list[list[float]]) -> float | None:
    """Over seeds and rows; None without any."""
    values = [value for rows in seeds for value in rows]
    return statistics.fmean(values) if values else None


def _smallest(keys: list[Key], rows: list[list[float]], counted: str) -> str:
    """Where the norms' ratio, averaged over seeds as a logarithm, is smallest."""
    if not keys:
        return ""
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    low, (iteration, stage) = min(zip(means, keys, strict=True))
    ratio = f"smallest ratio {10**low:.2g} ({stage}, iteration {iteration:,})"
    return f"{counted.replace('rows', 'rows and stages')}, {ratio}"


def _shared_rows(
    claim: Claim, frames: Frames, higher: list[Run], lower: list[Run]
) -> tuple[list[Key], list[list[float]], list[list[float]]]:
    """Each run's values at the iterations that all of these runs have a row for.

    The keys say which value is which; of a gradient there is one for each stage.
    """
    gradients = claim.metric == "gradient_norm"
    frame = frames.gradients if gradients else frames.metrics
    names = STAGES if gradients else (claim.metric,)
    curves: dict[tuple[object, ...], dict[Key, float]] = {}
    for name in names:
        columns = (frame[c].tolist() for c in (*LABELS, "iteration", name))
        for *run, iteration, value in zip(*columns, strict=True):
            if name == "layer4" and math.isnan(value):
                continue  # a CIFAR network has none
            here = _log(float(value)) if gradients else float(value)
            curves.setdefault(tuple(run), {})[int(iteration), name] = here
    sides = [
        [curves.get(tuple(r[c] for c in LABELS), {}) for r in runs] for runs in (higher, lower)
    ]
    shared = sorted(set.intersection(*(set(c) for side in sides for c in side)))
    a, b = ([[curve[key] for key in shared] for curve in side] for side in sides)
    return shared, a, b


def _log(norm: float) -> float:
    """log10; a norm of 0 is taken for the smallest that fp32 tells from it."""
    return math.log10(max(norm, 1e-38))
