"""The data sets by name. Nothing here imports torch until an archive is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

from resnet_repro.data import cifar10, digits
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder import listing
from resnet_repro.data.imagefolder.split import ImageFolder
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import DATASETS, PHOTOGRAPHS

_LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": lambda root: cifar10.load(root),
    "cifar10-45k": lambda root: cifar10.hold_out_validation(cifar10.load(root)),
    "digits": lambda root: digits.load(),
}


@overload
def load(
    name: Literal["cifar10", "cifar10-45k", "digits"], root: Path | None = None
) -> Dataset: ...
@overload
def load(
    name: Literal["imagenet", "imagenette", "image-folder"],
    root: Path | None = None,
    *,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
) -> ImageFolder: ...
@overload
def load(
    name: str,
    root: Path | None = None,
    *,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
) -> Dataset | ImageFolder: ...
def load(
    name: str,
    root: Path | None = None,
    *,
    cache: Path | None = None,
    say: Callable[[str], None] = print,
) -> Dataset | ImageFolder:
    """The data set called `name`, one of DATASETS: pixels in memory, or where photographs lie.

    root: the folder the data are in; None means cifar10.default_root().
    cache: a folder for what is found out of shards of photographs; None keeps nothing.
    say: is told when ImageNet's archives are unpacked, and shards read.
    Raises UserError for an unknown name, and when the data are missing or damaged.
    """
    if name in PHOTOGRAPHS:
        return listing.load(name, root, cache=cache, say=say)
    if name not in _LOADERS:
        raise UserError(f"unknown data set {name!r}: the known ones are {', '.join(DATASETS)}")
    return _LOADERS[name](root)
