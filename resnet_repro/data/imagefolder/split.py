"""What a data set of photographs is to the rest of the suite, in whatever form it came."""

from __future__ import annotations

import bisect
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnet_repro.data.dataset import Labels
from resnet_repro.data.imagefolder.places import OwnFiles, Packed, Place
from resnet_repro.errors import UserError

FOLDERS = "class folders"
IN_FOLDERS = OwnFiles()


@dataclass(frozen=True)
class ImageSplit:
    """The images of a split: paths "<class>/<image>", sorted, labels (N,) int64, sizes in bytes.

    digest: SHA-256 over lines "<path> <size in bytes>", in this order. Contents are no part of
    it, as reading ImageNet's 140 GB before every run is asked of nobody; a file cut short changes
    it, a changed pixel in a file of the same length does not. places: where under `root` the
    images lie; no part of the digest, so that the same images have one in every form.
    """

    root: Path
    paths: tuple[str, ...]
    labels: Labels
    sizes: NDArray[np.int64]
    digest: str
    places: OwnFiles | Packed = IN_FOLDERS

    def __len__(self) -> int:
        return len(self.paths)

    def place(self, index: int) -> Place:
        """Where the bytes of an image lie."""
        return self.places.place(self.root, self.paths[index], index)

    def place_of(self, path: str) -> Place:
        """The same of an image of the split by its path."""
        return self.place(bisect.bisect_left(self.paths, path))


@dataclass(frozen=True)
class ImageFolder:
    """A training split, a validation split (`test`) and the classes' names, index = label.

    skipped: images that were left out because they cannot be read, as "train/<class>/<image>".
    form: in which the images came, in words.
    """

    name: str
    train: ImageSplit
    test: ImageSplit
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    form: str = FOLDERS

    @property
    def digest(self) -> str:
        """One digest of both splits: SHA-256 over the two, in hexadecimal."""
        return hashlib.sha256(f"{self.train.digest} {self.test.digest}".encode()).hexdigest()

    @property
    def root(self) -> Path:
        """The folder that both splits lie in."""
        return Path(os.path.commonpath([self.train.root, self.test.root]))


def make_split(
    root: Path,
    images: Sequence[tuple[str, int, int]],
    places: OwnFiles | Packed = IN_FOLDERS,
) -> ImageSplit:
    """A split of (path, size in bytes, label), sorted."""
    digest = hashlib.sha256()
    for path, size, _ in images:
        digest.update(f"{path} {size}\n".encode("utf-8", "surrogateescape"))
    return ImageSplit(
        root,
        tuple(path for path, _, _ in images),
        np.array([label for _, _, label in images], dtype=np.int64),
        np.array([size for _, size, _ in images], dtype=np.int64),
        digest.hexdigest(),
        places,
    )


def without(split: ImageSplit, paths: Collection[str]) -> ImageSplit:
    """The split without the images of these paths; its digest says so.

    Raises UserError when a class would have none left.
    """
    kept = [i for i, path in enumerate(split.paths) if path not in paths]
    empty = set(split.labels.tolist()) - set(split.labels[kept].tolist())
    if empty:
        names = {y: p.split("/")[0] for p, y in zip(split.paths, split.labels, strict=True)}
        raise UserError(f"no image in {split.root / names[min(empty)]} can be read: replace them")
    images = [(split.paths[i], int(split.sizes[i]), int(split.labels[i])) for i in kept]
    return make_split(split.root, images, split.places.part(np.array(kept, dtype=np.int64)))


def leave_out(data: ImageFolder, skipped: Sequence[str]) -> ImageFolder:
    """The data set without images named as in its `skipped`. Raises UserError as `without`."""
    if not skipped:
        return data
    train, test = (set(_of_part(part, skipped)) for part in ("train", "val"))
    return replace(
        data,
        train=without(data.train, train) if train else data.train,
        test=without(data.test, test) if test else data.test,
        skipped=tuple(skipped),
    )


def _of_part(part: str, skipped: Sequence[str]) -> Iterator[str]:
    for name in skipped:
        if name.startswith(f"{part}/"):
            yield name.removeprefix(f"{part}/")
