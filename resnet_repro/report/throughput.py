"""How fast the recorded runs were, and what a run therefore takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import pandas as pd

from resnet_repro.markup import Grid
from resnet_repro.models.cost import seconds_per_work, typical_pace, work_per_image
from resnet_repro.report.load.frames import LABELS, Frames, Run


def pace(frames: Frames) -> Grid:
    """Images per second of each finished run and the hours its training takes at that pace.

    By the median row of its record, tests left out.
    """
    rows = []
    for run, timing in _timed(frames):
        rate = typical_pace(timing["images_per_second"])
        if rate is None:
            continue
        images = float((timing["images_per_second"] * timing["seconds"]).sum())
        hours = images / rate / 3600
        labels = (run.arm, run.dataset, run.protocol, str(run.seed), _machine(run))
        rows.append((*labels, str(run.threads), f"{rate:,.0f}", f"{hours:.1f}"))
    heads = ("network", "data set", "protocol", "seed", "machine", "threads")
    return Grid((*heads, "images a second", "hours"), tuple(rows))


def seconds_per_image(
    frames: Frames, dataset: str, network: str, crop: int | None = None
) -> dict[str, float]:
    """What an image takes a network to train on, by machine that has a record of that data set.

    Scaled from the recorded networks by the work of one image; the median over the machine's
    runs. Not from one data set to another: reading and augmenting the images costs time, too.
    crop: pixels a side, where it is another than the paper's. Empty when nothing can be said.
    """
    found: dict[str, list[float]] = {}
    for run, timing in _timed(frames):
        if run.dataset != dataset:
            continue
        unit = seconds_per_work(run.network, run.crop, timing["images_per_second"])
        if unit is not None:
            found.setdefault(_machine(run), []).append(unit)
    work = work_per_image(network, crop)
    if work is None:
        return {}
    return {name: work * statistics.median(units) for name, units in sorted(found.items())}


def _timed(frames: Frames) -> Iterator[tuple[Run, pd.DataFrame]]:
    """Each run, in the order of the labels, with its rows of timing."""
    timings = dict(iter(frames.timing.groupby(list(LABELS))))
    for run in sorted(frames.runs, key=lambda run: run.labels):
        yield run, timings.get(run.labels, frames.timing.iloc[:0])


def _machine(run: Run) -> str:
    return f"{run.device_name}, {run.precision}"
