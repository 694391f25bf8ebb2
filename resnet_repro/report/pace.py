"""How fast the recorded runs were, and what a run therefore takes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import pandas as pd

from resnet_repro.models.names import parse_cifar
from resnet_repro.report.frames import LABELS, Frames
from resnet_repro.report.render import Grid


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
                str(run["protocol"]),
                str(run["seed"]),
                _machine(run),
                f"{rate:,.0f}",
                f"{hours:.1f}",
            )
        )
    return Grid(("network", "protocol", "seed", "machine", "images a second", "hours"), tuple(rows))


def seconds_per_image(frames: Frames, network: str) -> dict[str, float]:
    """What an image of a CIFAR network takes to train on each machine there are records of.

    Scaled from the recorded networks by the work of one image: every stage of a CIFAR net does
    the same, so it grows with depth times width squared. The median over the machine's runs.
    """
    found: dict[str, list[float]] = {}
    for run, timing in _timed(frames):
        rate = float(timing["images_per_second"].median())
        if rate > 0:
            found.setdefault(_machine(run), []).append(1 / (rate * _work(str(run["network"]))))
    work = _work(network)
    return {name: work * statistics.median(units) for name, units in sorted(found.items())}


def _timed(frames: Frames) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each run, in the order of the labels, with its rows of timing."""
    timings = dict(iter(frames.timing.groupby(list(LABELS))))
    for run in frames.runs.sort_values(list(LABELS)).to_dict("records"):
        named = {str(name): value for name, value in run.items()}
        yield named, timings.get(tuple(named[x] for x in LABELS), frames.timing.iloc[:0])


def _machine(run: dict[str, Any]) -> str:
    return f"{run['device_name']}, {run['precision']}"


def _work(network: str) -> float:
    parsed = parse_cifar(network)
    return float(parsed.depth * parsed.width**2)
