"""What lies in one shard of photographs: a Parquet file of the hub's, or a WebDataset tar.

Neither is trusted, and no image is decoded.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.data.image_file import SUFFIXES
from resnet_repro.data.imagefolder.places import read_group
from resnet_repro.errors import UserError
from resnet_repro.records.files import open_file, parse_json

MAX_LABEL = 2**31
_LONGEST_LABEL = 16  # bytes
_BLOCK = 512  # bytes of a tar are written at once


@dataclass(frozen=True)
class Sample:
    """An image in a shard: its file's name, the number of its class, its size in bytes.

    first, second: row group and row within it, or offset in bytes and the size again.
    """

    name: str
    label: int
    size: int
    first: int
    second: int


def read_parquet(path: Path) -> tuple[list[Sample], tuple[str, ...]]:
    """The images of a shard with columns image (bytes, path) and label, and its classes' names.

    Raises UserError naming the file for anything else.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    open_file(path).close()  # a fifo would be waited for
    found: list[Sample] = []
    try:
        with pq.ParquetFile(path) as file:
            groups, classes = file.num_row_groups, _class_names(file.schema_arrow)
        for group in range(groups):
            found += _of_group(path, group)
    except UserError:
        raise
    except Exception as error:  # Arrow's errors, and KeyError or TypeError for other columns
        raise UserError(
            f"{path} is damaged or holds no columns image (bytes, path) and label "
            f"({one_line(error)}): download it again"
        ) from error
    return found, classes


def _of_group(path: Path, group: int) -> list[Sample]:
    import pyarrow.compute as pc  # type: ignore[import-untyped, unused-ignore]

    table = read_group(path, group, ["image.bytes", "image.path", "label"])
    samples: list[Sample] = []
    names = pc.struct_field(table["image"], "path").to_pylist()
    sizes = [
        size
        for chunk in pc.struct_field(table["image"], "bytes").chunks
        for size in _lengths(chunk)
    ]
    labels = table["label"].to_pylist()
    for row, (name, size, label) in enumerate(zip(names, sizes, labels, strict=True)):
        where = f"{path}, row group {group}, row {row}"
        if size is None:
            raise UserError(f"{where} has no bytes of an image: download it again")
        if not name or not PurePosixPath(name).name:
            raise UserError(f"{where} has no path: images are told apart by their files' names")
        samples.append(Sample(PurePosixPath(name).name, _label(where, label), size, group, row))
    return samples


def _lengths(chunk: Any) -> list[int | None]:
    """Of a dictionary of bytes, or of bytes."""
    import pyarrow.compute as pc  # type: ignore[import-untyped, unused-ignore]

    if hasattr(chunk, "dictionary"):
        sizes = pc.binary_length(chunk.dictionary).to_pylist()
        return [None if at is None else sizes[at] for at in chunk.indices.to_pylist()]
    return list(pc.binary_length(chunk).to_pylist())


def _label(where: str, label: object) -> int:
    if isinstance(label, int) and 0 <= label < MAX_LABEL:
        return label
    raise UserError(f"{where} has the label {label!r}: labels are numbers from 0 on")


def _class_names(schema: Any) -> tuple[str, ...]:
    """The classes' names as the hub's library writes them beside the columns; else none."""
    noted = (schema.metadata or {}).get(b"huggingface")
    if noted is None:
        return ()
    value: Any = parse_json(noted.decode(), "the note in its schema")
    for key in ("info", "features", "label", "names"):
        value = value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return ()
    if not all(isinstance(name, str) for name in value):
        raise ValueError("the names of its classes are no texts")
    return tuple(value)


def read_tar(path: Path) -> list[Sample]:
    """The images of a shard with files KEY.jpg (or .jpeg, .png, .webp) and KEY.cls.

    Raises UserError naming the file when it is damaged or cut short, or a key lacks either.
    """
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, int] = {}
    try:
        # The archive's end is looked at: tarfile takes a damaged header for it.
        with open_file(path) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                suffix = PurePosixPath(member.name).suffix.lower()
                key = member.name[: len(member.name) - len(suffix)]
                where = f"{path}, {member.name}"
                hidden = PurePosixPath(member.name).name.startswith(".")  # such as a Mac's ._
                if hidden or suffix not in (*SUFFIXES, ".cls"):
                    continue
                if not member.isreg() or member.issparse():
                    raise UserError(f"{where} is no regular file: download it again")
                if key in (labels if suffix == ".cls" else images):
                    raise UserError(f"{where}: its key is there twice: download it again")
                if suffix == ".cls":
                    labels[key] = _label(where, _read_label(archive, member))
                else:
                    images[key] = member
            file.seek(archive.offset)
            if file.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError("its end is missing")
    except UserError:
        raise
    except Exception as error:  # tarfile, struct and OSError each raise their own
        raise UserError(
            f"{path} is damaged or no tar ({one_line(error)}): download it again"
        ) from error
    for key in sorted(images.keys() ^ labels.keys()):
        lacking = "label (.cls)" if key in images else "image"
        raise UserError(f"{path}: {key} has no {lacking}: download it again")
    return [
        Sample(
            PurePosixPath(member.name).name,
            labels[key],
            member.size,
            member.offset_data,
            member.size,
        )
        for key, member in images.items()
    ]


def _read_label(archive: tarfile.TarFile, member: tarfile.TarInfo) -> object:
    stream = archive.extractfile(member)
    text = stream.read(_LONGEST_LABEL).strip() if stream else b""
    return int(text) if text.isdigit() else text.decode(errors="replace")
