"""What a network's name says; nothing here needs torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resnet_repro.errors import UserError

CIFAR_WIDTH = 16
IMAGENET_DEPTHS = (18, 34, 50, 101, 152)
BOTTLENECK_DEPTHS = (50, 101, 152)
VGG_DEPTHS = (16, 19)

_WRITTEN = {"plain": "plain", "resnet": "ResNet", "vgg": "VGG"}  # in the paper, by family

# A number has no leading zero, so that a network doesn't get a second name.
_CIFAR = re.compile(r"(plain|resnet)([1-9][0-9]{0,3})(?:-([ABC]))?(?:-w(0|[1-9][0-9]{0,3}))?")
_IMAGENET = re.compile(r"(plain|resnet)(18|34|50|101|152)(?:-([ABC]|v1\.5))?|(vgg)(16|19)")


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
    def plain(self) -> bool:
        """Whether it is without shortcuts."""
        return self.shortcut == "none"

    @property
    def family(self) -> str:
        """`plain` or `resnet`."""
        return "plain" if self.plain else "resnet"

    @property
    def label(self) -> str:
        """As the paper writes it, with what it leaves as it is: ResNet-20-B, plain-20 (width 8)."""
        option = "" if self.shortcut in ("none", "A") else f"-{self.shortcut}"
        said = self.width != CIFAR_WIDTH or self.depth in IMAGENET_DEPTHS
        width = f" (width {self.width})" if said else ""
        return f"{_WRITTEN[self.family]}-{self.depth}{option}{width}"


@dataclass(frozen=True)
class ImageNetName:
    """A network of Table 1, or a VGG net it is compared with.

    `family` is `plain`, `resnet` or `vgg`; `shortcut` is `none` without one. `stride_in_3x3` is
    torchvision's bottleneck (`-v1.5`); the paper's has the stride in the first 1x1.
    """

    family: str
    depth: int
    shortcut: str
    stride_in_3x3: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is without shortcuts."""
        return self.shortcut == "none"

    @property
    def label(self) -> str:
        """As the paper writes it: plain-34, ResNet-34-A, ResNet-50, VGG-19."""
        says_option = not self.plain and self.depth not in BOTTLENECK_DEPTHS
        option = f"-{self.shortcut}" if says_option else "-v1.5" if self.stride_in_3x3 else ""
        return f"{_WRITTEN[self.family]}-{self.depth}{option}"


def parse(name: str) -> CifarName | ImageNetName:
    """Read the name of any network.

    CIFAR: `resnet20`, `plain56`, `resnet20-B`, `resnet20-w8`. ImageNet: `plain34`, `resnet34-A`,
    `resnet50` (the paper's form), `resnet50-v1.5` (torchvision's), `vgg19`. Raises UserError for
    any other.
    """
    if match := _IMAGENET.fullmatch(name):
        if match[4]:
            return ImageNetName("vgg", int(match[5]), "none")
        return _imagenet(match[1], int(match[2]), match[3])
    if not _CIFAR.fullmatch(name):
        raise UserError(
            f"unknown network {name!r}: give one such as resnet20, plain56, resnet20-B, "
            f"resnet20-w8 (CIFAR) or plain34, resnet34-A, resnet50, resnet50-v1.5, vgg19 (ImageNet)"
        )
    return parse_cifar(name)


def _imagenet(family: str, depth: int, option: str | None) -> ImageNetName:
    """The network of Table 1 with that option behind its name, or a UserError."""
    name = f"{family}{depth}" + (f"-{option}" if option else "")
    bottleneck = depth in BOTTLENECK_DEPTHS
    if family == "plain":
        if bottleneck:
            raise UserError(f"'{name}': the paper's plain ImageNet networks are plain18, plain34")
        if option:
            raise UserError(f"'{name}': a plain net has no shortcut; write {family}{depth}")
        return ImageNetName(family, depth, "none")
    if not bottleneck:
        if option not in ("A", "B", "C"):
            options = ", ".join(f"{family}{depth}-{o}" for o in "ABC")
            raise UserError(f"'{name}' does not say which shortcut: give one of {options}")
        return ImageNetName(family, depth, option)
    if option not in (None, "v1.5"):
        raise UserError(
            f"'{name}': the paper uses option B for 50 layers and more; write {family}{depth}, "
            f"or {family}{depth}-v1.5 for torchvision's form"
        )
    return ImageNetName(family, depth, "B", stride_in_3x3=option == "v1.5")


def parse_cifar(name: str) -> CifarName:
    """Read a CIFAR network's name.

    Raises UserError for a name of another form, a depth that is not 6n+2, or a plain net with
    a shortcut. Depths 50 and 152 are both 6n+2 and ImageNet depths: bare, they mean the
    ImageNet network; with a width (`resnet50-w16`) they are the CIFAR one.
    """
    match = _CIFAR.fullmatch(name)
    if not match:
        raise UserError(
            f"unknown network {name!r}: give one such as resnet20, plain56, resnet20-B, resnet20-w8"
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
            f"{_cifar(kind, below)} and {_cifar(kind, below + 6)}"
        )
    shortcut = "none" if kind == "plain" else option or "A"
    return CifarName(depth, shortcut, CIFAR_WIDTH if width is None else int(width))


def _cifar(kind: str, depth: int) -> str:
    """The shortest name of that CIFAR network."""
    return f"{kind}{depth}" + (f"-w{CIFAR_WIDTH}" if depth in IMAGENET_DEPTHS else "")
