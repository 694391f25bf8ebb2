"""The data sets by name. Nothing here imports torch until an archive is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

from resnet_repro.data import cifar10, digits
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder import listing
from resnet_repro.data.imagefolder.listing import ImageFolder
from resnet_repro.errors import UserError

# Dataset.digest of the published copies: what `verify` expects.
DIGESTS: dict[str, str] = {
    "cifar10": "5c2c5bf7f9d3e8a4c1269850d345d07429b2bfb66e573d17ddfa06716bd251b1",
    "cifar10-45k": "eb83a41c2177054fd3cdfd6a98529f2af5cacf37ba3bbdbb223ff903e570073a",
    "digits": "febb4ba4694739b7b9a6bbc840a8e5c9e9621a2fdd0125fd3ebf2433fe67f654",
}

# Training and test images of the published copies, for what a run will take.
SIZES: dict[str, tuple[int, int]] = {
    "cifar10": (50_000, 10_000),
    "cifar10-45k": (45_000, 5_000),
    "digits": (1_437, 360),
    "imagenet": (1_281_167, 50_000),
    "imagenette": (9_469, 3_925),
}

_LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": lambda root: cifar10.load(root),
    "cifar10-45k": lambda root: cifar10.hold_out_validation(cifar10.load(root)),
    "digits": lambda root: digits.load(),
}

NAMES: tuple[str, ...] = (*_LOADERS, *listing.NAMES)


@overload
def load(
    name: Literal["cifar10", "cifar10-45k", "digits"], root: Path | None = None
) -> Dataset: ...
@overload
def load(
    name: Literal["imagenet", "imagenette", "image-folder"],
    root: Path | None = None,
    *,
    say: Callable[[str], None] = print,
) -> ImageFolder: ...
@overload
def load(
    name: str, root: Path | None = None, *, say: Callable[[str], None] = print
) -> Dataset | ImageFolder: ...
def load(
    name: str, root: Path | None = None, *, say: Callable[[str], None] = print
) -> Dataset | ImageFolder:
    """The data set called `name`, one of NAMES: pixels in memory, or files for the image sets.

    root: the folder the data are in; None means cifar10.default_root().
    say: is told when ImageNet's archives are unpacked.
    Raises UserError for an unknown name, and when the data are missing or damaged.
    """
    if name in listing.NAMES:
        return listing.load(name, root, say=say)
    if name not in _LOADERS:
        raise UserError(f"unknown data set {name!r}: the known ones are {', '.join(NAMES)}")
    return _LOADERS[name](root)
