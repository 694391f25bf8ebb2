"""CIFAR-10 in the Parquet files of the Hugging Face hub, read without trusting them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resnet_repro.data.cifar10_forms import Raw, checked_labels, decode_images, one_line
from resnet_repro.data.dataset import Images, Labels
from resnet_repro.data.shards import Shard, complete, files
from resnet_repro.errors import UserError
from resnet_repro.records.files import open_file

SPLITS = ("train", "test")
MAX_SHARD_ROWS = 100_000  # of a file; both splits have 60,000
MAX_SHARD_BYTES = 2**29  # without compression; both splits have 140 MB


def other_parquet_files(root: Path) -> str:
    """A word on the Parquet files in `root` for when none of them is a shard; empty without any."""
    paths = [str(path.relative_to(root)) for path in files(root, "parquet")]
    if not paths:
        return ""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"; {', '.join(paths[:3])}{more} not taken, as no name says which split it is of"


def read_shards(shards: Sequence[Shard]) -> Raw:
    """Read all shards of both splits. Raises UserError naming a missing or damaged one."""
    train, test = ([_read_shard(path) for path in complete(shards, (split,))] for split in SPLITS)
    return _joined(train), _joined(test)


def _joined(read: Sequence[tuple[Images, Labels]]) -> tuple[Images, Labels]:
    return np.concatenate([r[0] for r in read]), np.concatenate([r[1] for r in read])


def _read_shard(path: Path) -> tuple[Images, Labels]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]

    try:
        with open_file(path) as opened:
            metadata = pq.read_metadata(opened)
            _check_size(metadata)
            column = "img" if "img" in metadata.schema.to_arrow_schema().names else "image"
            # As a dictionary: equal images are kept once, where a few bytes may ask for millions.
            once = [f"{column}.bytes"]
            with pq.ParquetFile(opened, metadata=metadata, read_dictionary=once) as file:
                table = file.read(columns=[column, "label"])
        blobs = [blob for chunk in table[column].chunks for blob in _blobs(chunk.field("bytes"))]
        labels = table["label"].to_pylist()
    except UserError:
        raise
    except Exception as error:  # Arrow's errors, and KeyError or TypeError for other columns
        raise UserError(
            f"{path} is damaged or holds no columns img (bytes, path) and label "
            f"({one_line(error)}): download it again"
        ) from error
    where = [f"{path}, row {row}" for row in range(len(blobs))]
    return decode_images(blobs, where), checked_labels(str(path), labels)


def _check_size(metadata: Any) -> None:
    """Raise ValueError for a file that claims more than a copy of CIFAR-10 has."""
    claimed = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > MAX_SHARD_ROWS or claimed > MAX_SHARD_BYTES:
        raise ValueError(
            f"{metadata.num_rows:,} rows of {claimed:,} bytes, at most {MAX_SHARD_ROWS:,} of "
            f"{MAX_SHARD_BYTES:,} are read"
        )


def _blobs(column: Any) -> list[Any]:
    """A dictionary-encoded column, equal values being one object."""
    values = column.dictionary.to_pylist()
    return [None if at is None else values[at] for at in column.indices.to_pylist()]
