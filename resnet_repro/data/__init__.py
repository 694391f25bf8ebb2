"""The data sets by name. Nothing here imports torch until an archive is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.data import cifar10, digits
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError


@dataclass(frozen=True)
class DatasetInfo:
    """What planning a run must know of a data set before any of it is loaded."""

    channels: int
    size: int
    num_classes: int
    train_images: int


DATASETS: dict[str, DatasetInfo] = {
    "cifar10": DatasetInfo(channels=3, size=32, num_classes=10, train_images=50_000),
    "cifar10-45k": DatasetInfo(channels=3, size=32, num_classes=10, train_images=45_000),
    "digits": DatasetInfo(channels=1, size=16, num_classes=10, train_images=1_437),
}

_LOADERS: dict[str, Callable[[Path | None], Dataset]] = {
    "cifar10": lambda root: cifar10.load(root),
    "cifar10-45k": lambda root: cifar10.hold_out_validation(cifar10.load(root)),
    "digits": lambda root: digits.load(),
}


def load(name: str, root: Path | None = None) -> Dataset:
    """The data set called `name`, one of DATASETS.

    root: the folder CIFAR-10 is in; None means cifar10.default_root().
    Raises UserError for an unknown name, and when the data are missing or damaged.
    """
    if name not in _LOADERS:
        raise UserError(f"unknown data set {name!r}: the known ones are {', '.join(_LOADERS)}")
    return _LOADERS[name](root)
