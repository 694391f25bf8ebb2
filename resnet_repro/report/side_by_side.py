"""A user's own runs beside the suite's and the paper's, and whether both computed the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from resnet_repro.messages import _, joined
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.records.metrics import metric_words
from resnet_repro.records.schema import METRICS
from resnet_repro.report.load.frames import LABELS, Frames, Run
from resnet_repro.report.load.seeds import POOLED, outcomes, spread
from resnet_repro.report.load.view import arms_shown
from resnet_repro.report.statistics import half_width, own_half_width
from resnet_repro.report.tables import ResultRow, protocol_rows, recorded_protocols


@dataclass(frozen=True)
class SideBySide:
    """The same row from the suite's records and from the user's own.

    difference: yours minus the suite's, in the metric's unit; half_width: half of its 95 %
    prediction interval, which is chance's part. None for what is not known.
    """

    suite: ResultRow
    yours: ResultRow
    difference: float | None
    half_width: float | None
    same_spec: bool  # whether some runs of both differ in their seed at most


@dataclass(frozen=True)
class Twin:
    """A run that the suite and the user have computed from the same spec, seed included."""

    run: Run  # the user's
    rows: int
    equal: int  # how many of the first rows agree to the last digit
    until: int  # iteration of the last of these; 0: none
    apart: float  # the most that later rows differ by in the training error, in points


def side_by_side(
    artifact: Artifact, suite: Frames, yours: Frames, protocol: str | None = None
) -> list[SideBySide]:
    """The paper, the suite and the user's own side by side, each side with its verdict.

    A row for every protocol that either has, or for the one that is given; a side without it is
    `missing`.
    """
    protocols = recorded_protocols(artifact, suite, yours)
    if protocol is not None and not artifact.ensemble:
        protocols = {arm.name: [protocol] for arm in artifact.arms}
    rows = zip(
        protocol_rows(artifact, suite, protocols),
        protocol_rows(artifact, yours, protocols),
        strict=True,
    )
    return [_beside(artifact, suite, yours, *pair) for pair in rows]


def _beside(
    artifact: Artifact, suite: Frames, yours: Frames, theirs: ResultRow, own: ResultRow
) -> SideBySide:
    if not own.protocol or theirs.ours.mean is None or own.ours.mean is None:  # or counted
        return SideBySide(theirs, own, None, None, False)
    sides = suite, yours
    runs = [frames.runs_of(own.dataset, own.arm, own.protocol) for frames in sides]
    specs = [{run.question for run in found} for found in runs]
    return SideBySide(
        theirs,
        own,
        own.ours.mean - theirs.ours.mean,
        _half_width(artifact, suite, yours, own),
        bool(specs[0] & specs[1]),
    )


def _half_width(artifact: Artifact, suite: Frames, yours: Frames, row: ResultRow) -> float | None:
    """By the suite's spread between seeds, and by the user's where the suite has none.

    They are not pooled: a user's run of the suite's seed adds nothing that is independent.
    """
    key = row.dataset, row.arm, row.protocol, row.metric
    if artifact.ensemble:
        return None
    values = [
        [o.value for o in outcomes(frames, *key) if o.value is not None]
        for frames in (suite, yours)
    ]
    if row.metric not in POOLED:
        return own_half_width(*values)
    arm = artifact.arm(row.arm)
    found = [spread(frames, arm, row.metric, row.protocol) for frames in (suite, yours)]
    known = next((s for s in found if s is not None), None)
    return None if known is None else half_width(known, len(values[1]), len(values[0]))


def twins(artifact: Artifact, suite: Frames, yours: Frames) -> list[Twin]:
    """The user's runs of the artifact that the suite has of the same spec, row by row."""
    arms = arms_shown(artifact)
    theirs = {(run.question, run.seed): run for run in suite.select_runs(arms)}
    pairs = [(theirs.get((run.question, run.seed)), run) for run in yours.select_runs(arms)]
    return [
        _twin(own, _rows(suite, other), _rows(yours, own))
        for other, own in pairs
        if other is not None
    ]


def _twin(run: Run, theirs: pd.DataFrame, own: pd.DataFrame) -> Twin:
    # One that diverged may have ended earlier.
    shared = theirs.index.intersection(own.index)
    a, b = theirs.loc[shared], own.loc[shared]
    same = ((a == b) | (a.isna() & b.isna())).all(axis="columns")
    equal = int(same.cummin().sum())
    later = (a["train_error"] - b["train_error"]).abs()[equal:]
    until = int(shared[equal - 1]) if equal else 0
    return Twin(run, len(shared), equal, until, 0.0 if later.empty else float(later.max()))


def _rows(frames: Frames, run: Run) -> pd.DataFrame:
    """A run's rows of metrics.csv by iteration."""
    m = frames.metrics
    here = pd.Series(True, index=m.index)
    for label, value in zip(LABELS, run.labels, strict=True):
        here &= m[label] == value
    return m[here].set_index("iteration")[list(METRICS[1:])]


def agreement(rows: Sequence[SideBySide], same: Sequence[Twin]) -> list[str]:
    """Whether this installation computes what the suite's did, in a line or some.

    Runs of one spec and seed are compared row by row, the others by the interval; what has
    another spec, such as another version of the recipe, tells nothing.
    """
    equal = [twin for twin in same if twin.equal == twin.rows]
    lines = [_equal_text(equal)] if equal else []
    lines += [_apart_text(twin) for twin in same if twin.equal < twin.rows]
    compared = [row for row in rows if row.difference is not None]
    judged = [row for row in compared if row.same_spec and row.half_width is not None]
    far = [r for r in judged if abs(r.difference or 0.0) > (r.half_width or 0.0)]
    if judged and not far and not equal:
        lines.append(
            _(
                "Yours minus the suite's lies within its 95 % interval in all {n} comparisons of "
                "the same recipe: nothing speaks against this installation computing what the "
                "suite's does.",
                n=len(judged),
            )
        )
    elif far:
        lines.append(
            _(
                "Yours minus the suite's lies outside its 95 % interval in {far} of {n} "
                "comparisons of the same recipe ({which}): of twenty that compute the same, one "
                "does so by chance; `doctor` says what computes here.",
                far=len(far),
                n=len(judged),
                which=joined("; ", [_row_text(row) for row in far]),
            )
        )
    other = {row.yours.protocol: row for row in compared if not row.same_spec}
    lines += [
        _(
            "Under {protocol}, yours and the suite's differ in more than the seed (data or "
            "recipe): their difference says nothing of the installation.",
            protocol=protocol,
        )
        for protocol in other
    ]
    mine = any(row.yours.ours.n and row.yours.protocol for row in rows)
    if not lines and mine:
        lines.append(
            _(
                "The suite has too little of these runs under the same protocol to tell whether "
                "this installation computes the same."
            )
        )
    return lines


def _row_text(row: SideBySide) -> str:
    return _(
        "{arm}, {protocol}, {metric}",
        arm=row.yours.arm,
        protocol=row.yours.protocol,
        metric=metric_words(row.yours.metric, row.yours.dataset),
    )


def _equal_text(same: Sequence[Twin]) -> str:
    return _(
        "This installation computes what the suite's does: of the same spec and seed, all rows are "
        "equal to the last digit ({runs}).",
        runs=", ".join(str(twin.run.id) for twin in same),
    )


def _apart_text(twin: Twin) -> str:
    return _(
        "{run} has the suite's spec and seed. Its rows are equal until iteration {until:,}, and "
        "then up to {apart:.2f} points apart in the training error: another order of "
        "floating-point sums grows to that, and the interval tells whether it is more.",
        run=str(twin.run.id),
        until=twin.until,
        apart=twin.apart,
    )
