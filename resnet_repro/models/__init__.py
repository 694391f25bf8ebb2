"""Every network of the paper, by name.

Importing this package does not import torch, so that names can be read where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn


def build(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    bn_batch: int | None = None,
    bn_momentum: float = 0.1,
    bn_eps: float = 1e-5,
    init: Literal["fan_in", "fan_out"] = "fan_out",
    classifier_init: Literal["he", "gaussian", "uniform"] = "he",
    seed: int = 0,
) -> nn.Module:
    """Build the network called `name`, initialised from `seed`.

    (N, in_channels, H, W) -> logits (N, num_classes). `num_classes` is the data set's usual
    unless given: 10 for a CIFAR name, 1000 for an ImageNet one. `bn_batch` normalises over
    chunks of that many images (None: over the whole batch); `init` and `classifier_init` are
    `initialise`'s. Raises UserError for a name that is no network's and for numbers below 1.
    """
    from resnet_repro.models.blocks import initialise
    from resnet_repro.models.construct import construct

    model = construct(
        name,
        num_classes=num_classes,
        in_channels=in_channels,
        bn_batch=bn_batch,
        bn_momentum=bn_momentum,
        bn_eps=bn_eps,
    )
    initialise(model, init, seed, classifier_init)
    return model
