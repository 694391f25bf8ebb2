"""The claims of an artifact, judged by the seeds that both of a claim's arms have."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from resnet_repro.artifacts import Artifact, Claim
from resnet_repro.report.frames import LABELS, Frames
from resnet_repro.report.verdicts import ClaimResult, claim_final, claim_throughout

Run = dict[str, Any]  # a row of Frames.runs


@dataclass(frozen=True)
class ClaimRow:
    """A claim under one protocol. Means in %, over the seeds and the rows compared."""

    claim: Claim
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
        rows += [_judge(claim, protocol, frames, *pair) for protocol, pair in pairs.items()]
        if not pairs:
            rows.append(ClaimRow(claim, artifact.protocol, ClaimResult(0, "missing")))
    return rows


def _pairs(
    artifact: Artifact, claim: Claim, frames: Frames
) -> dict[str, tuple[list[Run], list[Run]]]:
    """For each protocol the runs of both arms, restricted to the seeds they share."""
    higher, lower = artifact.arm(claim.higher), artifact.arm(claim.lower)
    pairs = {}
    for protocol in frames.protocols_of(higher.dataset, higher.name):
        a = frames.runs_of(higher.dataset, higher.name, protocol)
        b = frames.runs_of(lower.dataset, lower.name, protocol)
        shared = {run["seed"] for run in a} & {run["seed"] for run in b}
        if shared:
            pairs[protocol] = (
                [run for run in a if run["seed"] in shared],
                [run for run in b if run["seed"] in shared],
            )
    return pairs


def _judge(
    claim: Claim, protocol: str, frames: Frames, higher: list[Run], lower: list[Run]
) -> ClaimRow:
    seeds = tuple(int(run["seed"]) for run in higher)
    bad = [
        f"{run['arm']} seed {run['seed']}"
        for run in [*higher, *lower]
        if run["status"] != "done" or math.isnan(run[claim.metric])
    ]
    if bad:
        result = ClaimResult(len(seeds), "diverged", detail=", ".join(bad))
        return ClaimRow(claim, protocol, result, seeds)
    if claim.scope == "final":
        a = [[float(run[claim.metric])] for run in higher]
        b = [[float(run[claim.metric])] for run in lower]
        result = claim_final([x[0] - y[0] for x, y in zip(a, b, strict=True)])
    else:
        a, b = _shared_rows(claim.metric, frames, higher, lower)
        result = claim_throughout(
            [[p - q for p, q in zip(x, y, strict=True)] for x, y in zip(a, b, strict=True)]
        )
    return ClaimRow(claim, protocol, result, seeds, _mean(a), _mean(b))


def _mean(seeds: list[list[float]]) -> float | None:
    """Over seeds and rows; None without any."""
    values = [value for rows in seeds for value in rows]
    return statistics.fmean(values) if values else None


def _shared_rows(
    metric: str, frames: Frames, higher: list[Run], lower: list[Run]
) -> tuple[list[list[float]], list[list[float]]]:
    """Each run's values at the iterations that all of these runs have a row for."""
    labels = list(LABELS)
    curves: dict[tuple[object, ...], dict[int, float]] = {}
    columns = (frames.metrics[c].tolist() for c in (*labels, "iteration", metric))
    for *key, iteration, value in zip(*columns, strict=True):
        curves.setdefault(tuple(key), {})[iteration] = float(value)
    sides = [
        [curves.get(tuple(r[c] for c in labels), {}) for r in runs] for runs in (higher, lower)
    ]
    shared = sorted(set.intersection(*(set(c) for side in sides for c in side)))
    a, b = ([[curve[i] for i in shared] for curve in side] for side in sides)
    return a, b
