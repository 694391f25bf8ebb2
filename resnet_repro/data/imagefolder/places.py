"""Where an image's bytes lie: a file of their own, a part of a tar, a row of a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnet_repro.data.image_file import MAX_BYTES, read_bytes
from resnet_repro.errors import UserError
from resnet_repro.records.files import is_file, open_file

MAX_GROUP_BYTES = 2**30  # of a Parquet file's row group, which is read as a whole


@dataclass(frozen=True)
class Span:
    """`size` bytes of a file from `offset` on, and what they are called there."""

    path: Path
    offset: int
    size: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}, {self.name}"


@dataclass(frozen=True)
class Row:
    """A row, counted within its row group, of a Parquet file's column `image`."""

    path: Path
    group: int
    row: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}, {self.name}"


Place = Path | Span | Row


def read_place(place: Place) -> bytes:
    """The bytes of an image. Raises ValueError for more than MAX_BYTES and for fewer than are
    said to be there, UserError for what is no regular file, and what pyarrow raises."""
    if isinstance(place, Row):
        return _read_row(place)
    if isinstance(place, Path):
        return read_bytes(place)
    if place.size > MAX_BYTES:
        raise ValueError(f"{place.size:,} bytes, at most {MAX_BYTES:,} are read")
    with open_file(place.path) as file:
        file.seek(place.offset)
        data = file.read(place.size)
    if len(data) < place.size:
        raise ValueError("the file ends within it")
    return data


def _read_row(place: Row) -> bytes:
    data = _images(place.path, place.group)[place.row].as_py()["bytes"]
    if not isinstance(data, bytes):
        raise ValueError("it has no bytes")
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data):,} bytes, at most {MAX_BYTES:,} are read")
    return data


@lru_cache(maxsize=2)  # some MB each; images that follow each other are mostly of one
def _images(path: Path, group: int) -> Any:
    if not is_file(path):  # opening a fifo would wait for its writer
        raise UserError(f"{path} is no regular file: remove or restore it")
    return read_group(path, group, ["image.bytes"])["image"]


def read_group(path: Path, group: int, columns: list[str]) -> Any:
    """Columns of one row group of a Parquet file, as a pyarrow.Table. Raises what pyarrow raises.

    Images come as a dictionary: equal ones are kept once, where a few bytes may ask for millions.
    """
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    with pq.ParquetFile(path, read_dictionary=["image.bytes"]) as file:
        claimed = file.metadata.row_group(group).total_byte_size
        if claimed > MAX_GROUP_BYTES:
            raise ValueError(
                f"a row group of {claimed:,} bytes, at most {MAX_GROUP_BYTES:,} are read: write "
                "it with smaller ones"
            )
        return file.read_row_group(group, columns=columns, use_threads=False)


# --- of all images of a split ---------------------------------------------------------------


@dataclass(frozen=True)
class OwnFiles:
    """Each image is a file of its own, at its path under the root; flat: at its name alone."""

    flat: bool = False

    def place(self, root: Path, path: str, index: int) -> Place:  # noqa: ARG002
        """Where the image at `path`, the one at `index` of its split, lies."""
        return root / (path.rpartition("/")[2] if self.flat else path)

    def part(self, which: NDArray[np.int64]) -> OwnFiles:  # noqa: ARG002
        """The places of some of the images."""
        return self

    def reading_order(self, count: int) -> NDArray[np.int64]:
        """The order in which `count` images are read with the least effort."""
        return np.arange(count)


@dataclass(frozen=True)
class Packed:
    """Images are packed in shards: numpy arrays, a value an image.

    rows: whether the shards are Parquet files. files: relative to the root; file: which of them.
    first, second: row group and row, or offset and size in bytes.
    """

    rows: bool
    files: tuple[str, ...]
    file: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]

    def place(self, root: Path, path: str, index: int) -> Place:
        """As of OwnFiles."""
        kind = Row if self.rows else Span
        shard = root / self.files[int(self.file[index])]
        return kind(shard, int(self.first[index]), int(self.second[index]), path)

    def part(self, which: NDArray[np.int64]) -> Packed:
        """As of OwnFiles."""
        return Packed(
            self.rows, self.files, self.file[which], self.first[which], self.second[which]
        )

    def reading_order(self, count: int) -> NDArray[np.int64]:  # noqa: ARG002
        """As of OwnFiles: a shard after the other, so that a row group is read once."""
        return np.lexsort((self.second, self.first, self.file))
