"""Data as training takes them: arrays that fit on a device, or photographs in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder.loader import ImageFolderLoader
from resnet_repro.data.imagefolder.split import ImageFolder, leave_out
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

    The first process examines the files for all; the others list their own, which must be the
    same. Raises UserError when the data are missing, damaged, other than the first process's, or
    of another kind than the recipe's.
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

    def listing() -> ImageFolder:
        listed = load(name, reading.root, cache=reading.cache, say=reading.say)
        assert isinstance(listed, ImageFolder)
        return listed

    def read() -> tuple[str, Photographs]:
        listed = listing()
        return listed.digest, Photographs(
            *examine(
                listed,
                crop,
                reading.cache,
                reading.corrupt,
                workers=reading.workers,
                say=reading.say,
            )
        )

    digest, data = world.on_main_process(read)
    return _at_home(data, digest, listing, world)


def _at_home(
    data: Photographs, digest: str, listing: Callable[[], ImageFolder], world: World
) -> Photographs:
    """The same images where this process has them, in whatever form.

    Raises UserError in all processes when one of them has other files, names or sizes.
    """
    refusal: UserError | None = None
    own = data.folder
    if not world.first:
        try:
            own = listing()
            if own.digest != digest:
                raise UserError(
                    f"process {world.rank} of {world.size} has other images in "
                    f"{own.root} than the first process: give all the same data"
                )
        except UserError as error:
            refusal = error
    if world.any(refusal is not None)[0]:
        if refusal is None:
            refusal = UserError("another process has other images")
            refusal.told = True  # that process says it
        raise refusal
    if world.first:
        return data
    return dataclasses.replace(data, folder=leave_out(own, data.folder.skipped))


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
