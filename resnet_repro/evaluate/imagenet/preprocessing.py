"""What a network sees of a picture: a mean subtracted and, for some, a deviation divided by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from resnet_repro.data.imagefolder.statistics import Statistics
from resnet_repro.errors import UserError

MEAN_KINDS = ("pixel", "channel", "channel-std")  # ours, as the recipe's switch names them


@dataclass(frozen=True)
class Preprocessing:
    """Pictures (N, 3, H, W), uint8 or float in 0 ... 255, to float32 (N, 3, H, W).

    The mean image, of one size, is subtracted from pictures of that size, and its average per
    channel from all others: the fully-convolutional test has pictures of every size (3.4).
    """

    image: Tensor | None  # (3, crop, crop); None: the channels' mean for every size
    channels: Tensor  # (3, 1, 1)
    std: Tensor | None  # (3, 1, 1); None: nothing is divided by

    def __call__(self, pictures: Tensor) -> Tensor:
        fits = self.image is not None and pictures.shape[1:] == self.image.shape
        x = pictures.float() - (self.image if self.image is not None and fits else self.channels)
        return x if self.std is None else x / self.std

    def to(self, device: torch.device) -> Preprocessing:
        """The same on another device."""
        return Preprocessing(
            None if self.image is None else self.image.to(device),
            self.channels.to(device),
            None if self.std is None else self.std.to(device),
        )


def subtracting(statistics: Statistics, mean: str) -> Preprocessing:
    """Ours: `pixel` subtracts the mean image (3.4), `channel` its average per channel.

    `channel-std` divides by the channel's standard deviation as well. Raises UserError for
    another kind.
    """
    if mean not in MEAN_KINDS:
        raise UserError(f"unknown mean '{mean}': give one of {', '.join(MEAN_KINDS)}")
    image = statistics.mean.permute(2, 0, 1).float().contiguous()
    return Preprocessing(
        image if mean == "pixel" else None,
        image.mean(dim=(1, 2), keepdim=True),
        statistics.std.float().reshape(3, 1, 1) if mean == "channel-std" else None,
    )


def torchvision_preprocessing() -> Preprocessing:
    """What torchvision's published weights expect: ImageNet's mean and deviation per channel."""
    return Preprocessing(
        None,
        255 * torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1),
        255 * torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1),
    )
