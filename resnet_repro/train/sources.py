"""Data as training takes them: arrays that fit on a device, or photographs in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder.listing import ImageFolder
from resnet_repro.data.imagefolder.loader import ImageFolderLoader
from resnet_repro.data.imagefolder.statistics import Corrupt, Statistics, examine
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.data.source import Source
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.runtime.device import Device
from resnet_repro.runtime.distributed import SINGLE_PROCESS, World
from resnet_repro.train.recipe import CifarRecipe, ImageRecipe, Recipe


@dataclass(frozen=True)
class Photographs:
    """Image files, and the mean and colour statistics of those to train on."""

    folder: ImageFolder
    statistics: Statistics

    @property
    def digest(self) -> str:
        return self.folder.digest

    @property
    def classes(self) -> tuple[str, ...]:
        return self.folder.classes


Data = Dataset | Photographs


@dataclass(frozen=True)
class Reading:
    """How image files are read for the first time."""

    root: Path | None  # None: the default folder
    cache: Path
    corrupt: Corrupt = "fail"  # what to do about files that are no image
    workers: int = 0
    say: Callable[[str], None] = print


def load_data(name: str, recipe: Recipe, reading: Reading, world: World = SINGLE_PROCESS) -> Data:
    """The data set called `name`, and what a run under `recipe` must know of its files.

    The first process lists and examines files for all; the others look for the same files below
    their own root. Raises UserError when the data are missing, damaged, or of another kind than
    the recipe's.
    """
    photographs = name in PHOTOGRAPHS
    if photographs != isinstance(recipe, ImageRecipe):
        raise UserError(
            f"{name} does not fit the network: CIFAR networks train on cifar10 and digits, "
            f"ImageNet networks on {', '.join(PHOTOGRAPHS)}"
        )
    if not isinstance(recipe, ImageRecipe):
        found = load(name, reading.root)
        assert isinstance(found, Dataset)
        return found
    crop = recipe.crop

    def read() -> Photographs:
        listed = load(name, reading.root, say=reading.say)
        assert isinstance(listed, ImageFolder)
        return Photographs(
            *examine(
                listed,
                crop,
                reading.cache,
                reading.corrupt,
                workers=reading.workers,
                say=reading.say,
            )
        )

    return _at_home(world.on_main_process(read), reading.root, world)


def _at_home(data: Photographs, root: Path | None, world: World) -> Photographs:
    """The same files below this process's own root."""
    if world.first or root is None:
        return data
    root = root.expanduser()
    folder = data.folder
    moved = dataclasses.replace(
        folder,
        train=dataclasses.replace(folder.train, root=root / folder.train.root.name),
        test=dataclasses.replace(folder.test, root=root / folder.test.root.name),
    )
    return dataclasses.replace(data, folder=moved)


def channels(data: Data) -> int:
    """Of an image: 1 or 3."""
    return data.train.images.shape[1] if isinstance(data, Dataset) else 3


def open_source(
    data: Data, recipe: Recipe, seed: int, device: Device, world: World = SINGLE_PROCESS
) -> Source:
    """The batches of one run on its device; this process's part of them where there are several.

    Raises UserError for arrays under a recipe of photographs, and the reverse.
    """
    if isinstance(data, Dataset) and isinstance(recipe, CifarRecipe):
        return InMemoryLoader(
            data,
            seed=seed,
            batch_size=recipe.batch_size,
            pad=recipe.pad,
            flip=recipe.flip,
            mean=recipe.mean,
            device=device.torch,
        )
    if isinstance(data, Photographs) and isinstance(recipe, ImageRecipe):
        return ImageFolderLoader(
            data.folder,
            data.statistics,
            seed=seed,
            batch_size=recipe.batch_size,
            crop=recipe.crop,
            flip=recipe.flip,
            pca_std=recipe.pca_std,
            mean=recipe.mean,
            device=device.torch,
            workers=device.workers,
            rank=world.rank,
            world=world.size,
        )
    raise UserError(
        "CIFAR networks train on cifar10 and digits, ImageNet networks on image files: "
        "give a data set of the network's kind"
    )
