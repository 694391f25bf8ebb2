"""From measurements to what the table says: medians, ratios, set-up, the floor, overheads."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contestant import OURS
from benchmarks.floor import Rates, Work, floor
from benchmarks.measure import Account, Measurement
from benchmarks.overheads import overhead_share
from resnet_repro.train.job import Job
from resnet_repro.train.recipe import PAPER


@dataclass(frozen=True)
class Spread:
    """Median, least and most over the repeats."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Summary:
    """A row of the summary; None is what was not measured.

    `ratio`: ours over this contestant, images per second in the same repeat. `run_seconds`: the
    training steps of the paper's 64,000 iterations. `overhead_*`: the part of a run that is
    evaluation, rows and checkpoints under that protocol.
    """

    network: str
    contestant: str
    repeats: int
    images_per_second: float | None = None
    images_per_second_min: float | None = None
    images_per_second_max: float | None = None
    ratio: float | None = None
    ratio_min: float | None = None
    ratio_max: float | None = None
    peak_memory_bytes: float | None = None
    setup_seconds: float | None = None
    run_seconds: float | None = None
    multiply_adds: float | None = None  # of a step
    bytes: float | None = None
    nodes: float | None = None
    floor_seconds: float | None = None  # of a step
    floor_limit: str = ""
    fraction_of_floor: float | None = None
    row_seconds: float | None = None
    checkpoint_seconds: float | None = None
    overhead_paper: float | None = None
    note: str = ""


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(above: Sequence[Measurement], below: Sequence[Measurement]) -> list[float]:
    """Images per second of one contestant over another's, repeat by repeat."""
    other = {m.repeat: m.images_per_second for m in below}
    return [m.images_per_second / other[m.repeat] for m in above if m.repeat in other]


def setup_seconds(first: float, step: float) -> float:
    """What the first step took beyond a step: building, compiling, the first allocations."""
    return max(0.0, first - step)


def summarise(
    account: Account,
    own: Sequence[Measurement],
    ours: Sequence[Measurement],
    work: Work,
    rates: Rates,
) -> Summary:
    """One contestant on one network.

    own, ours: its measurements and our loop's on that network. The floor and the overheads are
    our loop's alone: the floor is counted in its precision.
    """
    empty = Summary(account.network, account.contestant, len(own), note=account.note)
    if account.set_up is None or not own:
        return empty
    rate = spread([m.images_per_second for m in own])
    step = PAPER.batch_size / rate.median
    summary = dataclasses.replace(
        empty,
        images_per_second=rate.median,
        images_per_second_min=rate.least,
        images_per_second_max=rate.most,
        peak_memory_bytes=account.memory_bytes,
        setup_seconds=setup_seconds(account.set_up.first_seconds, step),
        run_seconds=PAPER.iterations * step,
    )
    if account.contestant != OURS:
        found = ratios(ours, own)
        if not found:
            return summary
        ratio = spread(found)
        return dataclasses.replace(
            summary, ratio=ratio.median, ratio_min=ratio.least, ratio_max=ratio.most
        )
    least = floor(work, rates)
    summary = dataclasses.replace(
        summary,
        multiply_adds=work.multiply_adds,
        bytes=work.bytes,
        nodes=work.nodes,
        floor_seconds=least.seconds,
        floor_limit=least.limit,
        fraction_of_floor=least.seconds / step,
    )
    if account.overheads is None:
        return summary

    return dataclasses.replace(
        summary,
        row_seconds=account.overheads.row_seconds,
        checkpoint_seconds=account.overheads.checkpoint_seconds,
        overhead_paper=overhead_share(
            account.overheads, step, PAPER.row_every, Job.checkpoint_seconds
        ),
    )
