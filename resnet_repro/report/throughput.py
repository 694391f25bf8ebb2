"""How fast the recorded runs were, and what a run therefore takes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

import pandas as pd

from resnet_repro.models.names import CifarName, parse
from resnet_repro.records.counts import multiply_adds
from resnet_repro.report.grid import Grid
from resnet_repro.report.load.frames import LABELS, Frames


def pace(frames: Frames) -> Grid:
    """Images per second of each finished run and the hours its training takes at that pace.

    The median over the rows of its record, tests left out: a machine that did other things
    for a while, or a run that was interrupted, does not move it.
    """
    rows = []
    for run, timing in _timed(frames):
        rate = float(timing["images_per_second"].median())
        images = float((timing["images_per_second"] * timing["seconds"]).sum())
        hours = images / rate / 3600
        rows.append(
            (
                str(run["arm"]),
                str(run["dataset"]),
                str(run["protocol"]),
                str(run["seed"]),
                _machine(run),
                str(run["threads"]),
                f"{rate:,.0f}",
                f"{hours:.1f}",
            )
        )
    labels = ("network", "data set", "protocol", "seed")
    return Grid((*labels, "machine", "threads", "images a second", "hours"), tuple(rows))


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
        rate = float(timing["images_per_second"].median())
        pixels = None if math.isnan(run["crop"]) else int(run["crop"])
        work = _work(str(run["network"]), pixels) if run["dataset"] == dataset else None
        if rate > 0 and work is not None:
            found.setdefault(_machine(run), []).append(1 / (rate * work))
    work = _work(network, crop)
    if work is None:
        return {}
    return {name: work * statistics.median(units) for name, units in sorted(found.items())}


def _timed(frames: Frames) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each run, in the order of the labels, with its rows of timing."""
    timings = dict(iter(frames.timing.groupby(list(LABELS))))
    for run in frames.runs.sort_values(list(LABELS)).to_dict("records"):
        named = {str(name): value for name, value in run.items()}
        yield named, timings.get(tuple(named[x] for x in LABELS), frames.timing.iloc[:0])


def _machine(run: dict[str, Any]) -> str:
    return f"{run['device_name']}, {run['precision']}"


def _work(network: str, crop: int | None) -> float | None:
    """Of one image, up to a factor that depends on its kind; None for a network not counted.

    Every stage of a CIFAR net does the same work, so there it is depth times width squared.
    """
    parsed = parse(network)
    if isinstance(parsed, CifarName):
        return float(parsed.depth * parsed.width**2)
    return multiply_adds(network, crop)
