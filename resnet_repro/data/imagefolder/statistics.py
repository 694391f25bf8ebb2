"""What is found out about image files before training: mean image, colours, damaged files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.imagefolder.decode import centre_crop, loader, read_image, scaled_size
from resnet_repro.data.imagefolder.places import Place
from resnet_repro.data.imagefolder.split import ImageFolder, leave_out
from resnet_repro.errors import UserError
from resnet_repro.records.files import parse_json, write_atomic

SCHEMA = "3"
TEST_SIDE = 256  # shorter side of the mean image's and of the centre crop's images, at crop 224
_BATCH = 64  # images a worker sums before it hands over
_INTERVAL = 5.0  # seconds between two words on the progress

Corrupt = Literal["fail", "skip"]
Say = Callable[[str], None]
Key = tuple[str, str]  # train or val, and the path of an image of that split


@dataclass(frozen=True)
class Statistics:
    """Mean and colours of the training images, shorter side 256, centre crop 224 (or scaled).

    mean: (crop, crop, 3) float32, 0 ... 255. std: (3,) of each channel over all pixels.
    eigenvalues: (3,), descending, and eigenvectors: (3, 3), a column each, of the covariance of
    the pixels' red, green and blue. An eigenvector's largest component is positive, the first of
    several equally large, so that machines agree on its sign.
    """

    mean: Tensor
    std: Tensor
    eigenvalues: Tensor
    eigenvectors: Tensor

    def save(self, path: Path) -> None:
        """Write the four tensors as safetensors, whole or not at all."""
        write_atomic(path, safetensors.torch.save(_tensors(self)))

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote. Raises UserError when the file is missing or damaged."""
        return _read(path)[0]


@dataclass(frozen=True)
class _Examined:
    """What the pass over all images found; `unreadable` is sorted."""

    statistics: Statistics
    unreadable: tuple[Key, ...]


def examine(
    data: ImageFolder, crop: int, cache: Path, corrupt: Corrupt, *, workers: int, say: Say
) -> tuple[ImageFolder, Statistics]:
    """Decode every image once: the statistics, and the data set without what cannot be read.

    crop: side of the crops in pixels. cache: a folder; the outcome is kept in
    `<cache>/statistics/<digest>-<crop>.safetensors` under the digest of the data set as listed.
    corrupt: `skip` leaves images that cannot be read out of their split, `fail` raises. Each is
    named once through `say`, and in the result's `skipped`.
    Raises UserError when images cannot be read under `fail`, or no image of a class can be.
    """
    path = cache / "statistics" / f"{data.digest[:32]}-{crop}.safetensors"
    found = _cached(path, data, crop, say)
    if found is None:
        found = _examine(data, crop, workers, say)
        _write(path, data, crop, found)
    _name(data, found.unreadable, say)
    if found.unreadable and corrupt == "fail":
        total = len(data.train) + len(data.test)
        raise UserError(
            f"{len(found.unreadable)} of {total:,} images cannot be read, the first is "
            f"{_place(data, found.unreadable[0])}: replace them, or leave them out with "
            "--corrupt skip"
        )
    return _without(data, found.unreadable), found.statistics


def readable(data: ImageFolder, *, workers: int, say: Say) -> ImageFolder:
    """The data set without the images that cannot be read; for one without training images.

    Every image is decoded for it, each time. Images are named as by `examine`, and no class may
    lose all of its own: UserError otherwise.
    """
    # The crop is of training images, of which there are none.
    unreadable = _read_all(data, 1, workers, say, "to leave out damaged ones").unreadable
    _name(data, unreadable, say)
    return _without(data, unreadable)


def _name(data: ImageFolder, unreadable: Sequence[Key], say: Say) -> None:
    for key in unreadable:
        say(_reason(_place(data, key)) or f"{_place(data, key)} could not be read at first")


def _without(data: ImageFolder, unreadable: Sequence[Key]) -> ImageFolder:
    return leave_out(data, [f"{part}/{path}" for part, path in unreadable])


def _place(data: ImageFolder, key: Key) -> Place:
    return (data.train if key[0] == "train" else data.test).place_of(key[1])


def _reason(place: Place) -> str | None:
    """Why the image cannot be read; None when it can."""
    try:
        read_image(place)
    except UserError as error:
        return str(error)
    return None


# --- the pass over all images ---------------------------------------------------------------


@dataclass(frozen=True)
class _Sums:
    """Whole numbers, so that the order of adding them makes no difference, not even in the last
    bit. pixels: (crop, crop, 3); products: (3, 3) of the channels over all pixels."""

    images: int
    pixels: NDArray[np.int64]
    products: NDArray[np.int64]
    unreadable: tuple[Key, ...]


class _Decoded:
    """An image's centre crop, (crop, crop, 3) uint8; None of a validation image, which is only
    decoded; its key when it cannot be read."""

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def __getitem__(self, asked: tuple[Key, Place]) -> NDArray[np.uint8] | Key | None:
        key, place = asked
        try:
            image = read_image(place)
        except UserError:
            return key
        if key[0] == "val":
            return None
        return np.asarray(centre_crop(image, scaled_size(TEST_SIDE, self.crop), self.crop))


class _Sum:
    """Adds up a batch of the above."""

    def __init__(self, crop: int) -> None:
        self.crop = crop

    def __call__(self, items: list[NDArray[np.uint8] | Key | None]) -> _Sums:
        bad = tuple(item for item in items if isinstance(item, tuple))
        good = [item for item in items if isinstance(item, np.ndarray)]
        pixels = np.zeros((self.crop, self.crop, 3), dtype=np.int64)
        products = np.zeros((3, 3), dtype=np.int64)
        for image in good:
            pixels += image
            # Exact in float64, whose matrix product is a fast one: far below 2^53.
            flat = image.reshape(-1, 3).astype(np.float64)
            products += (flat.T @ flat).astype(np.int64)
        return _Sums(len(good), pixels, products, bad)


def _examine(data: ImageFolder, crop: int, workers: int, say: Say) -> _Examined:
    sums = _read_all(data, crop, workers, say, "once, for their mean and for damaged ones")
    if sums.images == 0:
        raise UserError(f"no training image in {data.train.root} can be read: replace them")
    return _Examined(_from_sums(sums), sums.unreadable)


def _read_all(data: ImageFolder, crop: int, workers: int, say: Say, purpose: str) -> _Sums:
    """Decode every image; sums over the training images' crops."""
    total = len(data.train) + len(data.test)
    images, unreadable = 0, list[Key]()
    pixels = np.zeros((crop, crop, 3), dtype=np.int64)
    products = np.zeros((3, 3), dtype=np.int64)
    say(f"reading all {total:,} images of {data.name} {purpose}")
    begun = spoken = time.monotonic()
    done = 0
    batches = loader(_Decoded(crop), _batches(data), workers=workers, collate=_Sum(crop))
    for batch, size in zip(batches, _sizes(total), strict=True):
        images += batch.images
        pixels += batch.pixels
        products += batch.products
        unreadable += batch.unreadable
        done += size
        now = time.monotonic()
        if now - spoken >= _INTERVAL:
            spoken = now
            rate = done / (now - begun)
            say(
                f"{done:,} of {total:,} images, {rate:,.0f} a second, "
                f"{(total - done) / rate / 60:.1f} min left"
            )
    return _Sums(images, pixels, products, tuple(sorted(unreadable)))


def _batches(data: ImageFolder) -> Iterator[list[tuple[Key, Place]]]:
    """All images, in the order in which they lie: the sums do not depend on it."""
    batch: list[tuple[Key, Place]] = []
    for part, split in (("train", data.train), ("val", data.test)):
        for image in split.places.reading_order(len(split)).tolist():
            batch.append(((part, split.paths[image]), split.place(image)))
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _keys(data: ImageFolder) -> list[Key]:
    return [("train", path) for path in data.train.paths] + [
        ("val", path) for path in data.test.paths
    ]


def _sizes(total: int) -> Iterator[int]:
    for start in range(0, total, _BATCH):
        yield min(_BATCH, total - start)


def _from_sums(sums: _Sums) -> Statistics:
    count = sums.images * sums.pixels.shape[0] * sums.pixels.shape[1]
    # Python's whole numbers, as these products exceed 64 bits: nothing is lost by subtraction.
    total = [int(value) for value in sums.pixels.sum((0, 1))]
    covariance = np.array(
        [
            [(count * int(sums.products[i, j]) - total[i] * total[j]) / count**2 for j in range(3)]
            for i in range(3)
        ]
    )
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    largest = np.abs(vectors).round(6).argmax(0)
    vectors = vectors * np.sign(vectors[largest, np.arange(3)])
    arrays = (sums.pixels / sums.images, np.sqrt(covariance.diagonal()), values, vectors)
    return Statistics(*(torch.from_numpy(a.astype(np.float32)) for a in arrays))


# --- the cache ------------------------------------------------------------------------------


def _tensors(found: Statistics) -> dict[str, Tensor]:
    return {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}


def _write(path: Path, data: ImageFolder, crop: int, found: _Examined) -> None:
    note = {
        "schema": SCHEMA,
        "digest": data.digest,
        "crop": str(crop),
        "unreadable": json.dumps(found.unreadable),
    }
    note["sha256"] = _digest(found.statistics, note)
    write_atomic(path, safetensors.torch.save(_tensors(found.statistics), note))


def _digest(found: Statistics, note: Mapping[str, str]) -> str:
    """Of the numbers, as a flipped bit leaves most of them numbers, and of the note."""
    told = {key: value for key, value in note.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for tensor in _tensors(found).values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> tuple[Statistics, dict[str, str]]:
    """The statistics in a file and the note beside them. Raises UserError when damaged."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note: dict[str, str] = file.metadata() or {}
        found = Statistics(**tensors)
    except (OSError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"{path} holds no statistics ({one_line(error)}): delete it") from error
    side = found.mean.shape[0] if found.mean.ndim else 0
    shapes = {"mean": (side, side, 3), "std": (3,), "eigenvalues": (3,), "eigenvectors": (3, 3)}
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != shape or tensor.dtype != torch.float32 or not tensor.isfinite().all():
            raise UserError(f"{path} holds no statistics ({name} is amiss): delete it")
    return found, note


def _cached(path: Path, data: ImageFolder, crop: int, say: Say) -> _Examined | None:
    """What an earlier pass found; None when there was none, or what it found holds no more."""
    if not path.exists():
        return None
    try:
        found, note = _read(path)
        if (note.get("schema"), note.get("digest")) != (SCHEMA, data.digest):
            raise UserError(f"{path} is of another data set or version")
        if note.get("sha256") != _digest(found, note):
            raise UserError(f"{path} is damaged")
        if found.mean.shape[0] != crop:
            raise UserError(f"{path} is of another crop than {crop}")
        listed = cast(list[list[str]], parse_json(note["unreadable"], str(path), own=True))
        unreadable = tuple((str(part), str(name)) for part, name in listed)
        if not set(unreadable) <= set(_keys(data)):
            raise UserError(f"{path} names images that are not there")
    except (UserError, KeyError, TypeError, ValueError) as error:
        say(f"{one_line(error)}; computed anew")
        return None
    # A file mended at the same length leaves the digest as it was.
    if any(_reason(_place(data, key)) is None for key in unreadable):
        say("images that could not be read can be now; computed anew")
        return None
    return _Examined(found, unreadable)
