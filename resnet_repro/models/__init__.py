"""Every network of the paper, by name."""

from __future__ import annotations

from typing import Literal, cast

from torch import nn

from resnet_repro.models.blocks import ChunkedBatchNorm2d, NormLayer, Shortcut, initialise
from resnet_repro.models.cifar import CifarResNet
from resnet_repro.models.names import parse_cifar


def build(
    name: str,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    bn_batch: int | None = None,
    init: Literal["fan_in", "fan_out"] = "fan_out",
    seed: int = 0,
) -> nn.Module:
    """Build the network called `name`, initialised from `seed`.

    `bn_batch` normalises over chunks of that many images (None: over the whole batch).
    Raises UserError for a name that is no network's.
    """
    norm_layer: NormLayer = (
        nn.BatchNorm2d
        if bn_batch is None
        else lambda channels: ChunkedBatchNorm2d(channels, bn_batch)
    )
    parsed = parse_cifar(name)
    model = CifarResNet(
        parsed.depth,
        cast(Shortcut, parsed.shortcut),
        parsed.width,
        in_channels,
        num_classes,
        norm_layer,
    )
    initialise(model, init, seed)
    return model
