"""The data sets by name. Nothing here imports torch until an archive is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from resnet_repro.data import cifar10, digits
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError

# Dataset.digest of the published copies: what `verify` expects, and the names there are.
DIGESTS: dict[str, str] = {
    "cifar10": "5c2c5bf7f9d3e8a4c1269850d345d07429b2bfb66e573d17ddfa06716bd251b1",
    "cifar10-45k": "eb83a41c2177054fd3cdfd6a98529f2af5cacf37ba3bbdbb223ff903e570073a",
    "digits": "febb4ba4694739b7b9a6bbc840a8e5c9e9621a2fdd0125fd3ebf2433fe67f654",
}

_LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": lambda root: cifar10.load(root),
    "cifar10-45k": lambda root: cifar10.hold_out_validation(cifar10.load(root)),
    "digits": lambda root: digits.load(),
}


def load(name: str, root: Path | None = None) -> Dataset:
    """The data set called `name`, one of DIGESTS.

    root: the folder CIFAR-10 is in; None means cifar10.default_root().
    Raises UserError for an unknown name, and when the data are missing or damaged.
    """
    if name not in _LOADERS:
        raise UserError(f"unknown data set {name!r}: the known ones are {', '.join(_LOADERS)}")
    return _LOADERS[name](root)
