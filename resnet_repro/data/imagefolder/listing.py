"""Which photographs a data set has, in whichever form they lie in a folder. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from resnet_repro.data.cifar10 import default_root
from resnet_repro.data.imagefolder import folders, shard_index
from resnet_repro.data.imagefolder.folders import ARCHIVES, DEVKIT, class_folders, split_from
from resnet_repro.data.imagefolder.split import FOLDERS, ImageFolder, make_split
from resnet_repro.data.shards import PARQUET, WEBDATASET, find_shards, only_copy
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
KAGGLE = "Kaggle's CLS-LOC"
# How a split is called by those who write shards, and the names that shards go by.
SPLITS = {"train": ("train",), "val": ("validation", "val")}
_WORDS = [word for words in SPLITS.values() for word in words]
SHARDS = {"Parquet shards": PARQUET, "WebDataset tars": WEBDATASET}

Say = Callable[[str], None]


def load(
    name: str, root: Path | None, *, cache: Path | None = None, say: Say = print
) -> ImageFolder:
    """List a data set, one of PHOTOGRAPHS, in the form that `find_form` sees in `root`.

    root: None means cifar10.default_root(). Where there are class folders, or nothing else, a
    split of `imagenet` without its folder is unpacked from its archive there; torchvision checks
    its MD5. cache: a folder for what is found out of shards, which takes reading them once; None
    keeps nothing. `say` is told of both.
    The images, their order and the digest are the same in every form.
    Raises UserError when the data set is missing or incomplete, or is another than its name says.
    """
    root = default_root() if root is None else Path(root).expanduser()
    data = _list(name, root, ("train", "val"), cache, say)
    _is_named_rightly(data)
    return data


def validation(
    name: str, root: Path | None, *, cache: Path | None = None, say: Say = print
) -> ImageFolder:
    """The same without the training images, which may be missing.

    Raises UserError as `load`, and for a name that is none of PHOTOGRAPHS.
    """
    if name not in PHOTOGRAPHS:
        known = ", ".join(PHOTOGRAPHS)
        raise UserError(f"'{name}' is no data set of image files: give one of {known}")
    root = default_root() if root is None else Path(root).expanduser()
    data = _list(name, root, ("val",), cache, say)
    data = replace(data, train=make_split(data.train.root, []))
    _is_named_rightly(data)
    return data


def find_form(root: Path) -> str:
    """In which form photographs lie in `root`, in words; class folders where nothing is there.

    Of several the first: class folders, Kaggle's folders, Parquet shards, WebDataset tars.
    """
    if any(_has_folders(root / part) for part in SPLITS):
        return FOLDERS
    if (root / folders.KAGGLE).is_dir():
        return KAGGLE
    for form, names in SHARDS.items():
        if find_shards(root, names, _WORDS):
            return form
    return FOLDERS


def describe(root: Path) -> str:
    """The form of what lies in `root` and how much of it there is; empty where nothing is.

    Nothing is read but names. Raises OSError when a folder cannot be read.
    """
    form = find_form(root)
    if form == KAGGLE:
        return form
    if form in SHARDS:
        shards = [s for copy in find_shards(root, SHARDS[form], _WORDS).values() for s in copy]
        counts = [sum(s.split in words for s in shards) for words in SPLITS.values()]
    else:
        counts = [
            sum(path.is_dir() for path in (root / part).iterdir())
            for part in SPLITS
            if (root / part).is_dir()
        ]
        if len(counts) < len(SPLITS):
            return ""
    unit = "files" if form in SHARDS else "classes"
    return f"{form}, {counts[0]} + {counts[1]} {unit}"


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(
        path.is_dir() and not path.name.startswith(".") for path in folder.iterdir()
    )


def _list(name: str, root: Path, parts: Sequence[str], cache: Path | None, say: Say) -> ImageFolder:
    form = find_form(root)
    if form in SHARDS:
        return _shards(name, root, form, parts, cache, say)
    if form == KAGGLE:
        return _kaggle(name, root, parts)
    if name == "imagenet":
        folders.unpack(root, say)
    for part in parts:
        if not (root / part).is_dir():
            raise UserError(_missing(name, root, parts, part))
    classes = class_folders(root / "val")
    train = make_split(root / "train", [])
    if "train" in parts:
        trained = class_folders(root / "train")
        _same_classes(root, trained, classes)
        train = split_from(root / "train", trained)
    return ImageFolder(name, train, split_from(root / "val", classes), classes)


def _kaggle(name: str, root: Path, parts: Sequence[str]) -> ImageFolder:
    folder = root / folders.KAGGLE / "train"
    classes, val = folders.kaggle_validation(root)
    train = make_split(folder, [])
    if "train" in parts:
        trained = class_folders(folder)
        _same_classes(folder.parent, trained, classes)
        train = split_from(folder, trained)
    return ImageFolder(name, train, val, classes, form=KAGGLE)


def _shards(
    name: str, root: Path, form: str, parts: Sequence[str], cache: Path | None, say: Say
) -> ImageFolder:
    found = only_copy(form, find_shards(root, SHARDS[form], _WORDS))
    assert found is not None
    folder, shards = found
    # Where names tell the classes of training images alone, those tell the others' as well.
    there = {shard.split for shard in shards}
    wanted = [p for p in SPLITS if p in parts or there & set(SPLITS[p])]
    indexes = {p: shard_index.index(folder, shards, SPLITS[p], cache, say) for p in wanted}
    named = shard_index.name_classes(folder, indexes.values(), numbered=name == "image-folder")
    used = {p: shard_index.classes_of(indexes[p], named) for p in wanted}
    classes = used["val"]
    if "train" in parts:
        _same_classes(folder, used["train"], classes)
    splits = {p: shard_index.split(folder, indexes[p], named, used[p]) for p in wanted}
    train = splits.get("train", make_split(folder, []))
    return ImageFolder(name, train, splits["val"], classes, form=form)


def _missing(name: str, root: Path, parts: Sequence[str], part: str) -> str:
    wanted = " and ".join(f"DIR/{part}/<class>/" for part in parts)
    words = (
        f"no {name} in {root}, {root / part} is not there: give --data-root DIR with "
        f"{wanted} full of images, or with Parquet shards (data/train-00000-of-00294.parquet, "
        "data/validation-00000-of-00014.parquet), or WebDataset tars (imagenet-train-000000.tar, "
        f"imagenet-val-000000.tar), or Kaggle's {folders.KAGGLE} and {folders.KAGGLE_CLASSES}"
    )
    if name == "imagenet":
        words += f", or with the archives {', '.join(ARCHIVES.values())} and {DEVKIT}"
    return words


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
    if data.name == "imagenette":
        place = (data.train if len(data.train) else data.test).root
        for name in IMAGENETTE:
            if name not in data.classes:
                raise UserError(f"{place / name} is missing: Imagenette has ten classes")
        for name in data.classes:
            if name not in IMAGENETTE:
                raise UserError(
                    f"{place / name} is no class of Imagenette: for other classes give "
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
            f"{data.root} holds {found}, ImageNet {complete}: complete it, or give "
            "--dataset image-folder for another selection"
        )
