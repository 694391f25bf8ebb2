"""Photographs in shards: which there are, found out once, and to which class each belongs.

A shard gives an image a number for a class and a file's name. ImageNet's names tell the class
itself: `n01440764_10026.JPEG`, or where the hub appends it
`ILSVRC2012_val_00000293_n01440764.JPEG`.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.imagefolder.places import Packed
from resnet_repro.data.imagefolder.shard_files import Sample, read_parquet, read_tar
from resnet_repro.data.imagefolder.split import ImageSplit, make_split
from resnet_repro.data.shards import Shard, complete
from resnet_repro.errors import UserError
from resnet_repro.records.files import open_file, parse_json, write_atomic

SCHEMA = "2"
_COLUMNS = ("label", "size", "file", "first", "second")
_IMAGENETS = re.compile(r"(n\d{8}_\d+|ILSVRC2012_val_\d{8})(?:_(n\d{8}))?")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Index:
    """All images of a split: their names and, a value an image, the rest, in the shards' order.

    rows: whether the shards are Parquet files. files: relative to the copy's folder. classes: the
    names that the shards themselves give to numbers, or none. label, size, file, first, second:
    numpy arrays as in Sample and Packed.
    """

    rows: bool
    files: tuple[str, ...]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    label: NDArray[np.int64]
    size: NDArray[np.int64]
    file: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]


def index(
    folder: Path, shards: Sequence[Shard], words: Sequence[str], cache: Path | None, say: Say
) -> Index:
    """The index of the split called by one of `words`, from the cache if it is there.

    It is kept in `<cache>/shards/` under the shards' names, sizes and times of change.
    Raises UserError naming a shard that is missing, damaged or holds something else.
    """
    paths = complete(shards, words)
    told = [SCHEMA]
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        told.append(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}")
    if cache is None:
        return _read(folder, paths, say)
    kept = cache / "shards" / f"{hashlib.sha256(os.fsencode(chr(10).join(told))).hexdigest()}"
    if kept.exists():
        try:
            with open_file(kept) as file:
                return _unpacked(file.read())
        except Exception as error:  # pyarrow's errors, and those of other columns
            say(f"{kept} holds no index of shards ({one_line(error)}); made anew")
    found = _read(folder, paths, say)
    write_atomic(kept, _packed(found))
    return found


def _read(folder: Path, paths: Sequence[Path], say: Say) -> Index:
    rows = paths[0].suffix == ".parquet"
    say(f"reading {len(paths):,} shards in {folder}, once, for what is in them")
    samples: list[tuple[int, Sample]] = []
    classes: tuple[str, ...] = ()
    for number, path in enumerate(paths):
        found, named = read_parquet(path) if rows else (read_tar(path), ())
        samples += [(number, sample) for sample in found]
        if classes and named != classes:
            raise UserError(f"{path} names other classes than {paths[0].name}: download it again")
        classes = named
    if not samples:
        raise UserError(f"{paths[0]} and what follows hold no image: download them again")
    return Index(
        rows,
        tuple(str(path.relative_to(folder)) for path in paths),
        classes,
        tuple(sample.name for _, sample in samples),
        np.array([sample.label for _, sample in samples], dtype=np.int64),
        np.array([sample.size for _, sample in samples], dtype=np.int64),
        np.array([number for number, _ in samples], dtype=np.int64),
        np.array([sample.first for _, sample in samples], dtype=np.int64),
        np.array([sample.second for _, sample in samples], dtype=np.int64),
    )


def _packed(found: Index) -> bytes:
    """As a line with the SHA-256 of the Parquet file that follows."""
    import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    note = json.dumps({"rows": found.rows, "files": found.files, "classes": found.classes})
    columns = {name: getattr(found, name) for name in _COLUMNS}
    names = pa.array(map(os.fsencode, found.names), pa.binary())  # in a tar of any encoding
    table = pa.table({"names": names, **columns})
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"index": note}), out)
    body = out.getvalue()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _unpacked(content: bytes) -> Index:
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("it is damaged")
    table = pq.read_table(io.BytesIO(body))
    note = parse_json(table.schema.metadata[b"index"].decode(), "an index", own=True)
    assert isinstance(note, dict)
    return Index(
        bool(note["rows"]),
        tuple(note["files"]),
        tuple(note["classes"]),
        tuple(map(os.fsdecode, table["names"].to_pylist())),
        *(table[name].to_numpy() for name in _COLUMNS),
    )


# --- classes and splits ---------------------------------------------------------------------


def _told(name: str) -> tuple[str, str]:
    """The class that a file's name tells, or an empty one, and the name of ImageNet's file."""
    match = _IMAGENETS.fullmatch(name.rpartition(".")[0])
    if match is None:
        return "", name
    own = match[1].partition("_")[0]
    return match[2] or (own if own != "ILSVRC2012" else ""), f"{match[1]}.JPEG"


def name_classes(folder: Path, found: Iterable[Index], *, numbered: bool) -> dict[int, str]:
    """The class's name to each number in a copy's splits.

    The one that its images' names tell, or else the one that the shards give, or else, where
    `numbered`, the number itself. Raises UserError for a number without a name, for one whose
    images' names tell two classes, and for two that are one class.
    """
    told: dict[int, tuple[str, str]] = {}  # number -> class, and an image that tells it
    given: dict[int, str] = {}
    numbers: dict[int, str] = {}  # and an image of it
    for each in found:
        given |= dict(enumerate(each.classes))
        for name, number in zip(each.names, each.label.tolist(), strict=True):
            numbers.setdefault(number, name)
            wnid = _told(name)[0]
            if wnid and told.setdefault(number, (wnid, name))[0] != wnid:
                raise UserError(
                    f"{folder}: {name} and {told[number][1]} are both labelled {number}, and by "
                    "their names they are of two classes: download the shards again"
                )
    digits = len(str(max(numbers)))
    named: dict[int, str] = {}
    for number, image in sorted(numbers.items()):
        name = told[number][0] if number in told else given.get(number, "")
        if not name and numbered and not given:
            name = f"{number:0{digits}d}"
        if not name.isprintable():
            raise UserError(f"{folder}: {name!r} is no name of a class: download the shards again")
        if not name or "/" in name or name.startswith("."):
            raise UserError(
                f"{folder}: no name tells the class of {image}, labelled {number}: give shards "
                "with ImageNet's names of files (n01440764_10026), with which the images are the "
                "same in every form, or give --dataset image-folder"
            )
        if name in named.values():
            raise UserError(f"{folder}: {number} is a second label of {name}: keep one of them")
        named[number] = name
    return named


def classes_of(found: Index, named: Mapping[int, str]) -> tuple[str, ...]:
    """The names of the classes that have images in a split, sorted."""
    return tuple(sorted(named[number] for number in np.unique(found.label).tolist()))


def split(
    folder: Path, found: Index, named: Mapping[int, str], classes: Sequence[str]
) -> ImageSplit:
    """The images of an index, sorted by class and name; a class's label is its place there.

    Raises UserError when an image is there twice.
    """
    labels = {number: classes.index(named[number]) for number in np.unique(found.label).tolist()}
    images = [
        (f"{named[number]}/{_told(name)[1]}", size, labels[number])
        for name, number, size in zip(
            found.names, found.label.tolist(), found.size.tolist(), strict=True
        )
    ]
    order = sorted(range(len(images)), key=images.__getitem__)
    for one, other in itertools.pairwise(order):
        if images[one][0] == images[other][0]:
            both = " and ".join(found.files[int(found.file[i])] for i in (one, other))
            raise UserError(f"{folder}: {images[one][0]} is there twice, in {both}")
    places = Packed(found.rows, found.files, found.file, found.first, found.second)
    return make_split(
        folder, [images[i] for i in order], places.part(np.array(order, dtype=np.int64))
    )
