"""Photographs as files: a folder a class, ILSVRC's archives, Kaggle's folders. Imports no torch."""

from __future__ import annotations

import csv
import io
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.image_file import is_image_name
from resnet_repro.data.imagefolder.places import OwnFiles
from resnet_repro.data.imagefolder.split import ImageSplit, make_split
from resnet_repro.errors import UserError
from resnet_repro.records.files import read_text

ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
_UNPACKING = ".unpacking"
KAGGLE = Path("ILSVRC", "Data", "CLS-LOC")  # holds train/<class>/ and val/ without classes
KAGGLE_CLASSES = "LOC_val_solution.csv"  # beside ILSVRC/; says the classes of val

Say = Callable[[str], None]


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


def kaggle_validation(root: Path) -> tuple[tuple[str, ...], ImageSplit]:
    """The classes that Kaggle's table names, sorted, and its validation images, all in one folder.

    root: what holds ILSVRC/ and KAGGLE_CLASSES. Raises UserError when the table is missing or no
    such table, and when it and the folder do not name the same images.
    """
    table, folder = root / KAGGLE_CLASSES, root / KAGGLE / "val"
    told: dict[str, str] = {}
    rows = csv.DictReader(io.StringIO(read_text(table).removeprefix("\ufeff")))
    try:
        for row in rows:
            name, words = row.get("ImageId"), (row.get("PredictionString") or "").split()
            if not name or not words or name in told or "/" in words[0]:
                raise UserError(
                    f"{table}, line {rows.line_num}: an image of its own (ImageId) and its class "
                    "(PredictionString) must stand there: download it again"
                )
            told[name] = words[0]
    except csv.Error as error:
        raise UserError(f"{table} is damaged ({error}): download it again") from error
    try:
        with os.scandir(folder) as entries:
            sizes = {e.name: _status(e).st_size for e in entries if is_image_name(e.name)}
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from error
    names: dict[str, str] = {}
    for name in sorted(sizes):
        other = names.setdefault(name.rpartition(".")[0], name)
        if other != name:
            raise UserError(f"{folder} holds both {other} and {name}: keep one of them")
    for missing in sorted(set(told) - set(names)):
        raise UserError(f"{folder / missing}.JPEG is missing, {table.name} names it: restore it")
    for missing in sorted(set(names) - set(told)):
        raise UserError(f"{table} does not name {names[missing]}: download it again")
    classes = tuple(sorted(set(told.values())))
    labels = {name: label for label, name in enumerate(classes)}
    images = sorted(
        (f"{told[stem]}/{name}", sizes[name], labels[told[stem]]) for stem, name in names.items()
    )
    return classes, make_split(folder, images, OwnFiles(flat=True))
