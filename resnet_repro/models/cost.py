"""The work an image takes a network, and the pace at which recorded runs did theirs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from resnet_repro.models.names import CifarName, parse
from resnet_repro.records.counts import multiply_adds


def work_per_image(network: str, crop: int | None = None) -> float | None:
    """Up to a factor that CIFAR networks share, and ImageNet ones; None for one not counted.

    Every stage of a CIFAR net does the same work, so there it is depth times width squared; of
    the others their multiply-adds. crop: pixels a side, where it is another than the paper's.
    Raises UserError for an unknown network.
    """
    parsed = parse(network)
    if isinstance(parsed, CifarName):
        return float(parsed.depth * parsed.width**2)
    return multiply_adds(network, crop)


def typical_pace(images_per_second: Iterable[float]) -> float | None:
    """The median of a run's rows; None without any that is above 0 and finite.

    A machine that did other things for a while, or a run that was interrupted, does not move it.
    """
    rates = [rate for rate in images_per_second if 0 < rate < math.inf]
    return statistics.median(rates) if rates else None


def seconds_per_work(
    network: str, crop: int | None, images_per_second: Iterable[float]
) -> float | None:
    """What a unit of `work_per_image` took a run, by its rows; None when nothing can be said."""
    pace, work = typical_pace(images_per_second), work_per_image(network, crop)
    return 1 / (pace * work) if pace and work else None
