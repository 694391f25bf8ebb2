"""What training and testing need of a data set on a device, however its images are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Source(Protocol):
    """Batches on one device, already preprocessed: images (N, C, H, W) float32, labels (N,) int64.

    `data.in_memory.InMemoryLoader` holds every image on the device,
    `data.imagefolder.loader.ImageFolderLoader` reads files as it goes. Where several processes
    train together, each sees its own part only.
    """

    device: torch.device

    def prepare(self, iteration: int) -> None:
        """Make ready what batch `iteration` (the first is 0) needs of the host."""

    def batch_at(self, iteration: Tensor) -> tuple[Tensor, Tensor]:
        """The augmented training batch of an iteration () that was prepared; device work only."""

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every test image once, the single view."""

    def chunk_batches(self, images: int, chunk: int) -> Iterator[Tensor]:
        """This process's part of `statistics_chunks`, whole chunks of training images.

        Seen as test images are, without augmentation.
        """

    def close(self) -> None:
        """Give back what is held outside the device."""


def statistics_chunks(count: int, images: int, chunk: int) -> NDArray[np.int64]:
    """Which of `count` training images BN's statistics are averaged over, (chunks, chunk).

    At least `images` of them in whole chunks, or the most whole chunks there are. They lie
    evenly over the data set's order, so that each chunk spans all classes where the files lie
    sorted by class. Of fewer images than a chunk all are one chunk.
    """
    chunk = min(chunk, count)
    chunks = max(1, min(-(-images // chunk), count // chunk))
    places = np.arange(chunks * chunk) * count // (chunks * chunk)
    return places.reshape(chunk, chunks).T
