"""Chance in training: a pure function of (seed, epoch).

Which image comes when, at which crop offset, flipped or not: the same on every machine, for
every data-set copy, at every point of resumption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EpochSampler:
    """What one epoch draws, each of shape (N,): image, crop offset 0 ... offsets-1, flip 0/1."""

    image: NDArray[np.int64]
    offset: NDArray[np.int64]
    flip: NDArray[np.int64]


def epoch_sampler(seed: int, epoch: int, count: int, offsets: int, flips: bool) -> EpochSampler:
    """Draw epoch `epoch` of a data set of `count` images.

    The words come raw from Philox, a counter-based generator whose output NumPy fixes for all
    versions (it does not for Generator.permutation); everything is derived from them here.
    `offsets` is the number of crop positions, (2 pad + 1)^2 (81 for 4 pixels of padding).
    """
    words = np.random.Philox(key=[seed, epoch]).random_raw(2 * count)
    order, draw = words[:count], words[count:]
    return EpochSampler(
        image=np.argsort(order, kind="stable").astype(np.int64),
        offset=((draw >> np.uint64(1)) % np.uint64(offsets)).astype(np.int64),
        flip=(draw & np.uint64(1)).astype(np.int64) * int(flips),
    )
