"""What a network's name says; nothing here needs torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resnet_repro.errors import UserError

CIFAR_WIDTH = 16
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)

_CIFAR = re.compile(r"(plain|resnet)(\d+)(?:-([ABC]))?(?:-w(\d+))?")


@dataclass(frozen=True)
class CifarName:
    """A network of section 4.2: `resnet20`, `plain56`, `resnet20-B`, `resnet20-w8`.

    `shortcut` is `none` for a plain net and `A` unless the name says otherwise; `width` is the
    number of channels of the first stage.
    """

    depth: int
    shortcut: str
    width: int

    @property
    def residual(self) -> bool:
        return self.shortcut != "none"


def parse_cifar(name: str) -> CifarName:
    """Read a CIFAR network's name.

    Raises UserError for a name of another form, a depth that is not 6n+2, or a plain net with
    a shortcut. Depths 50 and 152 are both 6n+2 and ImageNet depths: bare, they mean the
    ImageNet network; with a width (`resnet50-w16`) they are the CIFAR one.
    """
    match = _CIFAR.fullmatch(name)
    if not match:
        raise UserError(
            f"unknown network '{name}': give one such as resnet20, plain56, resnet20-B, resnet20-w8"
        )
    kind, depth, option, width = match[1], int(match[2]), match[3], match[4]
    if width is not None and int(width) == 0:
        raise UserError(f"network '{name}' has width 0: give at least 1, such as {kind}{depth}-w8")
    if kind == "plain" and option:
        raise UserError(f"'{name}': a plain net has no shortcut; write {kind}{depth}")
    if width is None and depth in IMAGENET_DEPTHS:
        raise UserError(
            f"'{name}' is an ImageNet depth; the CIFAR networks have 6n+2 layers "
            f"(20, 32, 44, 56, 110, 1202, ...)"
        )
    if depth < 8 or depth % 6 != 2:
        below = max(8, depth - (depth - 2) % 6)
        raise UserError(
            f"'{name}': CIFAR networks have 6n+2 layers; near {depth} there are "
            f"{kind}{below} and {kind}{below + 6}"
        )
    shortcut = "none" if kind == "plain" else option or "A"
    return CifarName(depth, shortcut, CIFAR_WIDTH if width is None else int(width))
