"""The forms in which copies of CIFAR-10 go round, each read without trusting it.

The hub's Parquet shards: cifar10_shards.py.

Every reader returns the training and the test images as they come, (N, 3, 32, 32) uint8,
with their labels, (N,) int64, and raises UserError with the name of the file at fault.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy._core.multiarray import _reconstruct  # type: ignore[attr-defined, unused-ignore]
from PIL import UnidentifiedImageError

from resnet_repro.data.dataset import Images, Labels
from resnet_repro.data.image_file import (
    decode,
    is_image_name,
    read_bytes,
    size_of,
    without_warnings,
)
from resnet_repro.errors import UserError

Raw = tuple[tuple[Images, Labels], tuple[Images, Labels]]

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SIZE = 32
ARCHIVE = "cifar-10-python.tar.gz"
BATCHES_FOLDER = "cifar-10-batches-py"
BATCH_NAMES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")


def one_line(error: BaseException) -> str:
    """The error's message on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


# --- torchvision's archive: pickled batches -------------------------------------------------


def is_batches_folder(folder: Path) -> bool:
    """Whether `folder` is the archive's, extracted, perhaps in part."""
    return any((folder / name).is_file() for name in BATCH_NAMES)


def read_batches_folder(folder: Path) -> Raw:
    """Read the extracted archive. Raises UserError naming a missing or changed file."""
    blobs = {}
    for name in BATCH_NAMES:
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing: extract {ARCHIVE} again")
        blobs[name] = (folder / name).read_bytes()
    return _decode_batches(str(folder), blobs)


def read_archive(path: Path) -> Raw:
    """Read the batches out of the packed archive, writing nothing.

    Raises UserError when the archive is damaged or is not the official one.
    """
    from torchvision.datasets import CIFAR10  # type: ignore[import-untyped, unused-ignore]

    with path.open("rb") as file:
        found = hashlib.file_digest(file, _md5).hexdigest()
    if found != CIFAR10.tgz_md5:
        raise UserError(_wrong_md5(str(path), found, CIFAR10.tgz_md5))
    wanted = {f"{BATCHES_FOLDER}/{name}": name for name in BATCH_NAMES}
    blobs = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.name in wanted and member.isreg():
                    stream = tar.extractfile(member)
                    blobs[wanted[member.name]] = stream.read() if stream else b""
    except Exception as error:  # tarfile, gzip, zlib and struct each raise their own
        raise UserError(
            f"{path} is damaged ({one_line(error)}): delete it and download it again"
        ) from error
    for name in BATCH_NAMES:
        if name not in blobs:
            raise UserError(f"{path} lacks {BATCHES_FOLDER}/{name}: download it again")
    return _decode_batches(f"{path}:{BATCHES_FOLDER}", blobs)


def _decode_batches(where: str, blobs: dict[str, bytes]) -> Raw:
    """Check every batch against torchvision's MD5, and only then unpickle them."""
    from torchvision.datasets import CIFAR10  # type: ignore[import-untyped, unused-ignore]

    sums = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    sums[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    for name in BATCH_NAMES:
        found = _md5(blobs[name]).hexdigest()
        if found != sums[name]:
            raise UserError(_wrong_md5(f"{where}/{name}", found, sums[name]))
    meta = _unpickle(f"{where}/batches.meta", blobs["batches.meta"])
    if meta.get("label_names") != list(CLASSES):
        raise UserError(f"{where}/batches.meta does not list CIFAR-10's classes in their order")
    train = [_decode_batch(f"{where}/{n}", blobs[n]) for n in BATCH_NAMES if n.startswith("data_")]
    test = _decode_batch(f"{where}/test_batch", blobs["test_batch"])
    images, labels = zip(*train, strict=True)
    return (np.concatenate(images), np.concatenate(labels)), test


def _decode_batch(where: str, blob: bytes) -> tuple[Images, Labels]:
    batch = _unpickle(where, blob)
    data, labels = batch.get("data"), batch.get("labels")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (3 * SIZE * SIZE,)
        or not isinstance(labels, list)
        or len(labels) != len(data)
    ):
        raise UserError(f"{where} is not a batch of CIFAR-10: extract {ARCHIVE} again")
    return data.reshape(-1, 3, SIZE, SIZE), checked_labels(where, labels)


def _md5(blob: bytes = b"") -> Any:
    return hashlib.md5(blob, usedforsecurity=False)


def _wrong_md5(where: str, found: str, right: str) -> str:
    return (
        f"{where} is damaged or not the official file: its MD5 is {found}, it must be {right}; "
        f"delete it and get {ARCHIVE} again"
    )


def _encode(text: str, encoding: str) -> bytes:
    # How Python 3 pickles bytes for protocol 2. Held to the one encoding that takes, since
    # any other would make the codec machinery look for a module of that name.
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r}")
    return text.encode("latin1")


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles lists, dictionaries, strings, numbers and NumPy arrays; refuses the rest."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def _unpickle(where: str, blob: bytes) -> dict[str, Any]:
    try:
        # The official batches were written by Python 2.
        value = _ArrayUnpickler(io.BytesIO(blob), encoding="latin1").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(
            f"{where} is refused, it is no plain pickle of arrays ({one_line(error)}): "
            f"delete it and get {ARCHIVE} again"
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{where} holds no dictionary: delete it and get {ARCHIVE} again")
    return value


# --- a folder of images per class -----------------------------------------------------------


def is_class_folders(root: Path) -> bool:
    """Whether `root` has at least one class folder of one split."""
    return any((root / s / c).is_dir() for s in ("train", "test") for c in CLASSES)


def read_class_folders(root: Path) -> Raw:
    """Read train/<class>/* and test/<class>/*. Raises UserError naming what is wrong."""
    return _read_class_folders_of(root / "train"), _read_class_folders_of(root / "test")


def _read_class_folders_of(folder: Path) -> tuple[Images, Labels]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(CLASSES):
        if not (folder / name).is_dir():
            raise UserError(f"{folder / name} is missing: every class must have its folder")
        found = sorted(p for p in (folder / name).iterdir() if is_image_name(p.name))
        paths += found
        labels += [label] * len(found)
    return decode_images(paths, [str(p) for p in paths]), np.array(labels, dtype=np.int64)


# --- what these and the shards share --------------------------------------------------------


def decode_images(sources: Sequence[bytes | Path], where: Sequence[str]) -> Images:
    """Decode compressed images or image files: (N, 3, 32, 32).

    where: for each source, the name an error gives it.
    """
    pixels = np.empty((len(sources), SIZE, SIZE, 3), dtype=np.uint8)

    def decode(chunk: range) -> None:
        for i in chunk:
            pixels[i] = _decode_image(sources[i], where[i])

    # Threads, as Pillow lets go of the interpreter lock while it decodes.
    chunks = [range(i, min(i + 500, len(sources))) for i in range(0, len(sources), 500)]
    with without_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        list(pool.map(decode, chunks))
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _decode_image(source: bytes | Path, where: str) -> Images:
    """One image, (32, 32, 3). Raises UserError naming it when it is anything else."""
    try:
        blob = read_bytes(source) if isinstance(source, Path) else source
        size = size_of(blob)
        # A wrong size is refused before decoding: a small file may claim a huge image.
        if size == (SIZE, SIZE):
            # Through bytes: np.asarray takes half as long again.
            return np.frombuffer(decode(blob).tobytes(), dtype=np.uint8).reshape(SIZE, SIZE, 3)
    except Exception as error:  # each of Pillow's decoders raises its own
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "no such format" if unknown else one_line(error)
        raise UserError(
            f"{where} cannot be read as a PNG, JPEG or WebP image ({reason}): replace it"
        ) from error
    raise UserError(f"{where} is {size[0]}x{size[1]}: CIFAR-10's images are {SIZE}x{SIZE}")


def checked_labels(where: str, labels: Sequence[object]) -> Labels:
    for label in labels:
        if not isinstance(label, int) or not 0 <= label < len(CLASSES):
            raise UserError(f"{where} has the label {label!r}: labels are 0 ... 9")
    return np.array(labels, dtype=np.int64)
