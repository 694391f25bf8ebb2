"""What training and testing need of a data set on a device, however its images are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor


class Source(Protocol):
    """Batches on one device, already preprocessed: images (N, C, H, W) float32, labels (N,) int64.

    `data.pixels.Pixels` holds every image on the device, `data.image_stream.ImageStream` reads
    files as it goes. Where several processes train together, each sees its own part only.
    """

    device: torch.device

    def prepare(self, iteration: int) -> None:
        """Make ready what batch `iteration` (the first is 0) needs of the host."""

    def batch_at(self, iteration: Tensor) -> tuple[Tensor, Tensor]:
        """The augmented training batch of an iteration () that was prepared; device work only."""

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every test image once, the single view."""

    def plain_train_batches(self) -> Iterator[Tensor]:
        """Every training image once, without augmentation."""

    def close(self) -> None:
        """Give back what is held outside the device."""
