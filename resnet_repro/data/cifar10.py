"""CIFAR-10 from a folder the user names: find which form is there, read it, count it."""

from __future__ import annotations

import http.client
import os
from pathlib import Path

from resnet_repro.data import cifar10_forms as forms
from resnet_repro.data import cifar10_shards as shards
from resnet_repro.data.cifar10_forms import CLASSES
from resnet_repro.data.dataset import Dataset, hold_out, make_split
from resnet_repro.data.shards import PARQUET, find_shards, only_copy
from resnet_repro.errors import UserError

ROOT_VARIABLE = "RESNET_REPRO_DATA"


def default_root() -> Path:
    """Where data sets are looked for: RESNET_REPRO_DATA if set, else data/ here."""
    return Path(os.environ.get(ROOT_VARIABLE) or "data").expanduser()


def load(root: Path | None, *, expected: tuple[int, int] = (50_000, 10_000)) -> Dataset:
    """Read CIFAR-10 from whichever of its three forms lies under `root`.

    root: a folder with torchvision's archive (packed or extracted), the hub's Parquet
    shards, or a folder of images per class; None means default_root().
    expected: the number of training and test images a complete copy holds.
    Returns images (N, 3, 32, 32) uint8 and labels (N,) int64, 0 ... 9, in canonical order.
    Raises UserError when there is nothing to read, or it is incomplete or damaged.
    """
    root = default_root() if root is None else Path(root).expanduser()
    try:
        train, test = _read(root)
    except OSError as error:
        raise UserError(f"cannot read CIFAR-10 under {root}: {forms.one_line(error)}") from error
    found = (len(train[1]), len(test[1]))
    if found != expected:
        raise UserError(
            f"the copy of CIFAR-10 under {root} is incomplete: found {found[0]} training and "
            f"{found[1]} test images, there must be {expected[0]} and {expected[1]}"
        )
    return Dataset("cifar10", make_split(*train), make_split(*test), CLASSES)


def hold_out_validation(data: Dataset, per_class: int = 500) -> Dataset:
    """The paper's 45k/5k split: `test` becomes images held out of training.

    The test images of `data` do not appear in the result, so that a choice made on it
    cannot have seen them. Raises UserError when a class has too few training images.
    """
    try:
        rest, held = hold_out(data.train, per_class)
    except ValueError as error:
        raise UserError(f"the copy of CIFAR-10 is incomplete: {error}") from error
    return Dataset("cifar10-45k", rest, held, data.classes)


def download(root: Path) -> Path:
    """Download torchvision's archive into `root`, check its MD5, and return its path.

    Does nothing when an intact archive is there. Raises UserError when the download fails.
    """
    from torchvision.datasets import CIFAR10  # type: ignore[import-untyped, unused-ignore]
    from torchvision.datasets.utils import (  # type: ignore[import-untyped, unused-ignore]
        download_url,
    )

    root = Path(root).expanduser()
    try:
        download_url(CIFAR10.url, str(root), forms.ARCHIVE, CIFAR10.tgz_md5)
    except (OSError, RuntimeError, http.client.HTTPException) as error:  # URLError is an OSError
        raise UserError(
            f"could not download {CIFAR10.url} to {root}: {forms.one_line(error)}; try again, "
            f"or fetch {forms.ARCHIVE} by other means and put it there"
        ) from error
    return root / forms.ARCHIVE


def _read(root: Path) -> forms.Raw:
    """Recognise the form under `root` and read it. Raises UserError when there is none."""
    for folder in (root, root / forms.BATCHES_FOLDER):
        if forms.is_batches_folder(folder):
            return forms.read_batches_folder(folder)
    if (root / forms.ARCHIVE).is_file():
        return forms.read_archive(root / forms.ARCHIVE)
    copies = find_shards(root, PARQUET, shards.SPLITS)
    if copy := only_copy("Parquet shards", copies):
        return shards.read_shards(copy[1])
    if forms.is_class_folders(root):
        return forms.read_class_folders(root)
    raise UserError(
        f"no CIFAR-10 under {root}: get torchvision's archive with `python -m resnet_repro data "
        f"cifar10 --download --data-root {root}`, or put there the Hugging Face hub's Parquet "
        "shards (train-00000-of-00001.parquet, test-00000-of-00001.parquet), or a folder of "
        "images per class (train/airplane/*.png ... test/truck/*.png)"
        f"{shards.other_parquet_files(root)}"
    )
