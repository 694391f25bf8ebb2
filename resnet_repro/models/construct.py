"""From a name to the modules of its network, before any weight of ours is drawn."""

from __future__ import annotations

from typing import cast

from torch import nn

from resnet_repro.errors import UserError
from resnet_repro.models.batch_norm import GhostBatchNorm2d
from resnet_repro.models.blocks import Shortcut
from resnet_repro.models.cifar import CifarResNet
from resnet_repro.models.imagenet import ResNet
from resnet_repro.models.names import CifarName, ImageNetName, parse

CIFAR_CLASSES = 10
IMAGENET_CLASSES = 1000


def construct(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int = 3,
    bn_batch: int | None = None,
    bn_momentum: float = 0.1,
    bn_eps: float = 1e-5,
) -> nn.Module:
    """The modules of the network called `name`, on the default device (which may be `meta`).

    Arguments and errors as in `build`; the weights are what torch starts a module with.
    """
    parsed = parse(name)
    if num_classes is None:
        num_classes = CIFAR_CLASSES if isinstance(parsed, CifarName) else IMAGENET_CLASSES
    for what, number in (
        ("num_classes", num_classes),
        ("in_channels", in_channels),
        ("bn_batch", bn_batch),
    ):
        if number is not None and number < 1:
            raise UserError(f"{name} with {what} {number}: give at least 1")

    def norm_layer(channels: int) -> nn.BatchNorm2d:
        if bn_batch is None:
            return nn.BatchNorm2d(channels, bn_eps, bn_momentum)
        return GhostBatchNorm2d(channels, bn_batch, eps=bn_eps, momentum=bn_momentum)

    shortcut = cast(Shortcut, parsed.shortcut)
    if isinstance(parsed, CifarName):
        return CifarResNet(
            parsed.depth, shortcut, parsed.width, in_channels, num_classes, norm_layer
        )
    if parsed.family == "vgg":
        if in_channels != 3 or bn_batch is not None:
            raise UserError(f"{name} takes images of 3 channels and has no batch normalisation")
        return _vgg(parsed, num_classes)
    return ResNet(
        parsed.depth,
        shortcut,
        in_channels,
        num_classes,
        norm_layer,
        stride_in_3x3=parsed.stride_in_3x3,
    )


def _vgg(name: ImageNetName, num_classes: int) -> nn.Module:
    """VGG-16 or VGG-19 without batch normalisation, as torchvision defines it.

    Quoted in the paper as what its networks are cheaper than (3.3, 4.1).
    """
    # Only these two need torchvision.
    from torchvision.models import vgg16, vgg19  # type: ignore[import-untyped, unused-ignore]

    make = {16: vgg16, 19: vgg19}[name.depth]
    return cast(nn.Module, make(weights=None, init_weights=False, num_classes=num_classes))
