"""The images that every contestant trains on: CIFAR-10, or noise of the same shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset, Split, make_split

CLASSES = 10


@dataclass(frozen=True)
class Source:
    """Where the images come from; noise costs the same time, but shows no learning."""

    root: Path | None = None  # of a copy of CIFAR-10; None: noise
    train: int = 50_000  # images of noise
    test: int = 10_000

    @property
    def words(self) -> str:
        return "random images of CIFAR-10's shape" if self.root is None else "CIFAR-10"

    def load(self) -> Dataset:
        """Images (N, 3, 32, 32) uint8. Raises UserError when `root` holds no CIFAR-10."""
        if self.root is not None:
            return load("cifar10", self.root)
        rng = np.random.default_rng(0)

        def split(count: int) -> Split:
            images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
            return make_split(images, np.arange(count, dtype=np.int64) % CLASSES)

        names = tuple(str(n) for n in range(CLASSES))
        return Dataset("cifar10", split(self.train), split(self.test), names)
