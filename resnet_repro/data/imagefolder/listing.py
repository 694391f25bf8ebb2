"""Data sets that stay files: a folder a class, or ImageNet's archives. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet_repro.data.cifar10 import default_root
from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.dataset import Labels
from resnet_repro.data.image_file import is_image_name
from resnet_repro.errors import UserError
from resnet_repro.records.datasets import DATASETS, PHOTOGRAPHS

IMAGENETTE = (
    "n01440764",
    "n02102040",
    "n02979186",
    "n03000684",
    "n03028079",
    "n03394916",
    "n03417042",
    "n03425413",
    "n03445777",
    "n03888257",
)
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
_UNPACKING = ".unpacking"

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageSplit:
    """The images under `root`: paths relative to it, sorted, and labels (N,) int64.

    digest: SHA-256 over lines "<relative path> <size in bytes>", sorted by path. Contents are
    no part of it, as reading ImageNet's 140 GB before every run is asked of nobody; a file cut
    short changes it, a changed pixel in a file of the same length does not.
    """

    root: Path
    paths: tuple[str, ...]
    labels: Labels
    digest: str

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class ImageFolder:
    """A training split, a validation split (`test`) and the class folders' names, index = label.

    skipped: images that were left out because they cannot be read, as "train/<class>/<image>".
    """

    name: str
    train: ImageSplit
    test: ImageSplit
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """One digest of both splits: SHA-256 over the two, in hexadecimal."""
        return hashlib.sha256(f"{self.train.digest} {self.test.digest}".encode()).hexdigest()


def load(name: str, root: Path | None, *, say: Say = print) -> ImageFolder:
    """List a data set, one of PHOTOGRAPHS, from train/<class>/* and val/<class>/* in `root`.

    root: None means cifar10.default_root(). Where a split's folder is missing, `imagenet` is
    unpacked from its archives there; torchvision checks their MD5s, and `say` is told.
    Raises UserError when the data set is missing or incomplete, or is another than its name says.
    """
    root = _root(name, root, ("train", "val"), say)
    classes, others = class_folders(root / "train"), class_folders(root / "val")
    _same_classes(root, classes, others)
    data = ImageFolder(
        name, split_from(root / "train", classes), split_from(root / "val", classes), classes
    )
    _is_named_rightly(data)
    return data


def validation(name: str, root: Path | None, *, say: Say = print) -> ImageFolder:
    """The same without the training images, which may be missing: val/<class>/* alone.

    Raises UserError as `load`, and for a name that is none of PHOTOGRAPHS.
    """
    if name not in PHOTOGRAPHS:
        known = ", ".join(PHOTOGRAPHS)
        raise UserError(f"'{name}' is no data set of image files: give one of {known}")
    root = _root(name, root, ("val",), say)
    classes = class_folders(root / "val")
    data = ImageFolder(
        name, make_split(root / "train", []), split_from(root / "val", classes), classes
    )
    _is_named_rightly(data)
    return data


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of the folders in `folder`, sorted; hidden ones are none.

    Raises UserError when there is none, or `folder` cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            shown = [e for e in entries if not e.name.startswith(".")]
            found = sorted(e.name for e in shown if _is_folder(e))
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from error
    if not found:
        raise UserError(f"{folder} holds no class folders: images belong in {folder}/<class>/")
    return tuple(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a class lies there. Raises UserError for a link that leads nowhere: it may be one."""
    if entry.is_symlink() and not Path(entry.path).exists():
        raise UserError(f"{entry.path} is a link to nothing: mend or remove it")
    return entry.is_dir()


def split_from(folder: Path, classes: Sequence[str]) -> ImageSplit:
    """The images in `folder`/<class>/ of the given classes; a class's label is its place there.

    Images are what ends in .jpeg, .jpg, .png or .webp in any case; hidden files and others are
    ignored. One that cannot be opened, such as a link to nothing, is listed: whoever reads it says
    so. Raises UserError naming a class folder that is missing, unreadable or empty.
    """
    found: list[tuple[str, int, int]] = []
    for label, name in enumerate(classes):
        try:
            with os.scandir(folder / name) as entries:
                images = [
                    (f"{name}/{entry.name}", status.st_size, label)
                    for entry in entries
                    if is_image_name(entry.name)
                    and not stat.S_ISDIR((status := _status(entry)).st_mode)
                ]
        except FileNotFoundError as error:
            raise UserError(f"{folder / name} is missing: every class has its folder") from error
        except OSError as error:
            raise UserError(f"cannot read {folder / name}: {error.strerror or error}") from error
        if not images:
            raise UserError(
                f"{folder / name} holds no images (JPEG, PNG or WebP): fill it, or remove the "
                "class from train and val"
            )
        found += images
    return make_split(folder, sorted(found))


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    """What lies there; of a link that leads nowhere the link."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def make_split(root: Path, images: Sequence[tuple[str, int, int]]) -> ImageSplit:
    """A split of (relative path, size in bytes, label), sorted."""
    digest = hashlib.sha256()
    for path, size, _ in images:
        digest.update(f"{path} {size}\n".encode("utf-8", "surrogateescape"))
    labels = np.array([label for _, _, label in images], dtype=np.int64)
    return ImageSplit(root, tuple(path for path, _, _ in images), labels, digest.hexdigest())


def without(split: ImageSplit, paths: set[str]) -> ImageSplit:
    """The split without the images of these relative paths; its digest says so.

    Raises UserError when a class would have none left, or a file is there no more.
    """
    kept = [(p, int(y)) for p, y in zip(split.paths, split.labels, strict=True) if p not in paths]
    empty = set(split.labels.tolist()) - {label for _, label in kept}
    if empty:
        names = {y: p.split("/")[0] for p, y in zip(split.paths, split.labels, strict=True)}
        raise UserError(f"no image in {split.root / names[min(empty)]} can be read: replace them")
    try:
        sized = [(path, (split.root / path).stat().st_size, label) for path, label in kept]
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror or error}") from error
    return make_split(split.root, sized)


def unpack(root: Path, say: Say) -> None:
    """Unpack ImageNet's archives in `root`, those whose split has no folder yet.

    A split's folder appears whole or not at all. Raises UserError when the archives are damaged
    or there is no room for what they hold.
    """
    parts = [p for p, a in ARCHIVES.items() if not (root / p).is_dir() and (root / a).is_file()]
    if not parts:
        return
    if not (root / DEVKIT).is_file():
        raise UserError(f"{root / DEVKIT} is missing: {ARCHIVES[parts[0]]} is unpacked with it")
    from torchvision.datasets import ImageNet  # type: ignore[import-untyped, unused-ignore]

    staging = root / _UNPACKING
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of an unpacking that was cut short
        staging.mkdir()
        for part in parts:
            say(f"unpacking {root / ARCHIVES[part]}, once; it is checked first")
            for archive in (ARCHIVES[part], DEVKIT):
                (staging / archive).unlink(missing_ok=True)
                (staging / archive).symlink_to((root / archive).resolve())
            ImageNet(staging, part)
            (staging / part).rename(root / part)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise UserError(
            f"cannot unpack ImageNet's archives in {root}: {one_line(error)}"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _root(name: str, root: Path | None, parts: Sequence[str], say: Say) -> Path:
    """Where the data set lies, unpacked. Raises UserError when a part has no folder there."""
    root = default_root() if root is None else Path(root).expanduser()
    if name == "imagenet":
        unpack(root, say)
    for part in parts:
        if not (root / part).is_dir():
            wanted = " and ".join(f"DIR/{part}/<class>/" for part in parts)
            words = (
                f"no {name} in {root}, {root / part} is not there: give --data-root DIR with "
                f"{wanted} full of images"
            )
            if name == "imagenet":
                words += f", or with the archives {', '.join(ARCHIVES.values())} and {DEVKIT}"
            raise UserError(words)
    return root


def _same_classes(root: Path, train: Sequence[str], val: Sequence[str]) -> None:
    for there, here, part in ((train, val, "val"), (val, train, "train")):
        missing = sorted(set(there) - set(here))
        if missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UserError(
                f"{root / part / missing[0]} is missing{more}: train and val have the same classes"
            )


def _is_named_rightly(data: ImageFolder) -> None:
    """Raises UserError for classes that are not Imagenette's, or a part of ImageNet."""
    split = data.train if len(data.train) else data.test
    if data.name == "imagenette":
        for name in IMAGENETTE:
            if name not in data.classes:
                raise UserError(f"{split.root / name} is missing: Imagenette has ten classes")
        for name in data.classes:
            if name not in IMAGENETTE:
                raise UserError(
                    f"{split.root / name} is no class of Imagenette: for other classes give "
                    "--dataset image-folder"
                )
    words = "{0:,} classes, {1:,} training and {2:,} validation images"
    if not len(data.train):
        words = "{0:,} classes and {2:,} validation images"
    found = words.format(len(data.classes), len(data.train), len(data.test))
    known = DATASETS["imagenet"]
    complete = words.format(known.classes, known.train, known.test)
    if data.name == "imagenet" and found != complete:
        raise UserError(
            f"{split.root.parent} holds {found}, ImageNet {complete}: complete it, or give "
            "--dataset image-folder for another selection"
        )
