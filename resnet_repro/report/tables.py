"""The rows of an artifact's table: published, recorded, and the verdict between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.paper.artifacts import Arm, Artifact, Published
from resnet_repro.paper.published import PublishedValue, published_for, table_values
from resnet_repro.records.metrics import COUNTED, ERRORS, METRICS
from resnet_repro.report.captions import caption, counted_caption, ensemble_caption
from resnet_repro.report.claims import ClaimRow, claim_rows
from resnet_repro.report.load.frames import Frames, Run, sort_protocols
from resnet_repro.report.load.seeds import POOLED, counts, family, outcomes, spread
from resnet_repro.report.load.view import arms_shown
from resnet_repro.report.notes import evaluation_notes, notes
from resnet_repro.report.statistics import Spread
from resnet_repro.report.verdicts.joint import Difference, Joint, joint_test
from resnet_repro.report.verdicts.rule import (
    JUDGED,
    Comparison,
    Outcome,
    judge,
    judge_exact,
    summarise,
)

ENSEMBLE = "ensemble"  # stands for one that was not evaluated yet


@dataclass(frozen=True)
class ResultRow:
    """An arm's metric under one protocol. Errors in %, parameters and multiply-adds as counted.

    A quoted row is a number the paper took from other work, shown for comparison only.
    """

    arm: str
    network: str
    dataset: str
    metric: str
    protocol: str  # empty where it does not matter (parameters, multiply-adds)
    published: PublishedValue | None
    published_best: PublishedValue | None
    ours: Comparison
    seeds: tuple[int, ...] = ()
    machines: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    quoted: bool = False


@dataclass(frozen=True)
class Table:
    """An artifact's rows and claims, with what a reader must know to read them."""

    artifact: Artifact
    rows: tuple[ResultRow, ...]
    claims: tuple[ClaimRow, ...]
    caption: str  # protocols, machines, precisions
    notes: tuple[str, ...]
    joint: Joint | None = None


def table(artifact: Artifact, frames: Frames) -> Table:
    """A row per arm, metric and recorded protocol; an arm that was never run is `missing`.

    frames: all there are, since the spread between seeds is pooled over a data set's arms.
    """
    rows = protocol_rows(artifact, frames, recorded_protocols(artifact, frames))
    rows += _quoted(artifact)
    runs = frames.select_runs(arms_shown(artifact))
    joint = table_joint(artifact, rows, frames)
    claims = tuple(claim_rows(artifact, frames))
    return Table(
        artifact,
        tuple(rows),
        claims,
        _caption(artifact, frames, runs),
        (
            *artifact.notes,
            *evaluation_notes(artifact, frames),
            *notes(
                runs,
                [r.ours.verdict for r in rows],
                _spreads(artifact, rows, frames),
                read_off=[r.published.source for r in rows if r.published and r.published.read_off],
                claims=claims,
                joint=joint is not None,
            ),
        ),
        joint,
    )


def _spreads(
    artifact: Artifact, rows: Sequence[ResultRow], frames: Frames
) -> dict[tuple[str, str, str], Spread | None]:
    """The pooled spreads behind the rows' intervals, by metric, family and protocol.

    None of a metric whose intervals are from each arm's own seeds.
    """
    found: dict[tuple[str, str, str], Spread | None] = {}
    for row in rows:
        if row.ours.half_width is None:
            continue
        key = row.metric, family(row.network), row.protocol
        if key not in found:
            pooled = row.metric in POOLED
            arm = artifact.arm(row.arm)
            found[key] = spread(frames, arm, row.metric, row.protocol) if pooled else None
    return found


def table_joint(artifact: Artifact, rows: Sequence[ResultRow], frames: Frames) -> Joint | None:
    """The joint test over the judged rows of the table's first metric whose spread is pooled."""
    judged = [row for row in rows if row.ours.verdict in JUDGED and row.metric in POOLED]
    metric = next((m for m in METRICS if any(row.metric == m for row in judged)), "")
    families: dict[str, tuple[list[Difference], Spread]] = {}
    for row in judged:
        s = spread(frames, artifact.arm(row.arm), row.metric, row.protocol)
        if row.metric == metric and s and row.published and row.ours.difference is not None:
            here, _ = families.setdefault(family(row.network), ([], s))
            here.append(Difference(row.ours.difference, row.ours.n, row.published.n))
    return joint_test(metric, judged[0].dataset if judged else "", families)


def rows_under(artifact: Artifact, frames: Frames, protocol: str) -> list[ResultRow]:
    """The artifact's rows under one protocol alone, whatever else is recorded."""
    return protocol_rows(artifact, frames, {arm.name: [protocol] for arm in artifact.arms})


def _caption(artifact: Artifact, frames: Frames, runs: Sequence[Run]) -> str:
    if artifact.counted:
        return counted_caption(artifact, frames.counts)
    return ensemble_caption(artifact, frames) if artifact.ensemble else caption(runs)


def recorded_protocols(artifact: Artifact, *frames: Frames) -> dict[str, list[str]]:
    """The protocols each arm was run under, the paper's first; the default where it was not.

    Of an artifact of ensembles, the ensembles there are, with their protocols in one word.
    """
    found: dict[str, list[str]] = {}
    if artifact.ensemble:
        for row in (row for f in frames for row in f.ensembles_of(artifact)):
            found.setdefault(row.name, [row.protocol])
        return found or {ENSEMBLE: [artifact.protocol]}
    for arm in artifact.arms:
        names = [p for f in frames for p in f.protocols_of(arm.dataset, arm.name)]
        found[arm.name] = sort_protocols(names) or [artifact.protocol]
    return found


def _metrics(artifact: Artifact, arm: Arm) -> list[str]:
    wanted: set[str] = {*COUNTED} if artifact.counted else set()
    wanted.update(c.metric for c in artifact.claims if c.value is None)
    wanted.update(p.metric for p in artifact.published if p.arm == arm.name)
    if not artifact.counted and not wanted & ERRORS.keys():
        wanted.add("test_error")
    return [m for m in METRICS if m in wanted]


def protocol_rows(
    artifact: Artifact, frames: Frames, protocols: dict[str, list[str]]
) -> list[ResultRow]:
    """The artifact's rows under these protocols of each arm, whatever is recorded of them."""
    if artifact.ensemble:
        return [
            _ensemble_row(artifact, key, frames, name, words)
            for name, [words] in protocols.items()
            for key in artifact.published
        ]
    rows = []
    for arm in artifact.arms:
        for metric in _metrics(artifact, arm):
            values = [
                value
                for key in artifact.published
                if (key.arm, key.metric) == (arm.name, metric)
                for value in published_for(key)
            ]
            if metric in COUNTED:
                rows.append(_count_row(artifact, arm, metric, frames, values))
            else:
                rows += [
                    _error_row(arm, metric, protocol, frames, values)
                    for protocol in protocols[arm.name]
                ]
    return rows


def _error_row(
    arm: Arm, metric: str, protocol: str, frames: Frames, values: Sequence[PublishedValue]
) -> ResultRow:
    runs = frames.runs_of(arm.dataset, arm.name, protocol)
    found = outcomes(frames, arm.dataset, arm.name, protocol, metric)
    main = next((v for v in values if v.statistic != "best"), None)
    ours = (
        summarise(found)
        if main is None
        else judge(
            found,
            main,
            spread(frames, arm, metric, protocol),
            dataset=arm.dataset,
            protocol=protocol,
        )
    )
    return ResultRow(
        arm.name,
        arm.network,
        arm.dataset,
        metric,
        protocol,
        main,
        next((v for v in values if v.statistic == "best"), None),
        ours,
        tuple(o.seed for o in found),
        tuple(sorted({run.device_name for run in runs})),
        tuple(sorted({run.precision for run in runs})),
        tuple(dict.fromkeys(commit for run in runs for commit in run.commits)),
    )


def _ensemble_row(
    artifact: Artifact, key: Published, frames: Frames, name: str, protocol: str
) -> ResultRow:
    """An ensemble on images that its published value was not measured on."""
    dataset = artifact.arms[0].dataset
    value = published_for(key)[0]
    errors = [e.made.number(key.metric) for e in frames.ensembles_of(artifact) if e.name == name]
    found = [Outcome(0, error) for error in errors if not math.isnan(error)]
    ours = judge(found, value, None, dataset=dataset, protocol=protocol)
    return ResultRow(name, "", dataset, key.metric, protocol, value, None, ours)


def _count_row(
    artifact: Artifact, arm: Arm, metric: str, frames: Frames, values: Sequence[PublishedValue]
) -> ResultRow:
    found = counts(artifact, arm, metric, frames)
    value = next(iter(values), None)
    ours = judge_exact(found, value, arm.dataset)
    return ResultRow(arm.name, arm.network, arm.dataset, metric, "", value, None, ours)


def _quoted(artifact: Artifact) -> list[ResultRow]:
    """The lines of the artifact's own table that the paper took from other work."""
    if not any(p.source == artifact.name for p in artifact.published):
        return []
    if not artifact.name.startswith("table"):
        return []
    groups: dict[tuple[str, str], list[PublishedValue]] = {}
    for value in table_values(artifact.name):
        if not value.own and value.statistic != "std":
            groups.setdefault((value.row, value.metric), []).append(value)
    rows = []
    for (name, metric), values in groups.items():
        main = next(v for v in values if v.statistic != "best")
        best = next((v for v in values if v.statistic == "best"), None)
        ours = Comparison(0, "")
        rows.append(ResultRow(name, "", main.dataset, metric, "", main, best, ours, quoted=True))
    return rows
