"""CIFAR-10 in the Parquet files of the Hugging Face hub: which files are some, and reading them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet_repro.data.cifar10_forms import Raw, checked_labels, decode_images, one_line
from resnet_repro.data.dataset import Images, Labels
from resnet_repro.errors import UserError
from resnet_repro.records.files import open_file

# Names of shards with their folder's: the hub's own, its converted branch's, and files without
# numbers. Groups are split, index and total; then how one is named that is missing.
SHARD_NAMES = (
    (
        re.compile(r"[^/]*/(train|test)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.parquet"),
        "{split}-{index:05d}-of-{total:05d}.parquet",
    ),
    (re.compile(r"(train|test)/(\d{4,5})()\.parquet"), "{split}/{index:04d}.parquet"),
    (re.compile(r"[^/]*/(train|test)()()\.parquet"), "{split}.parquet"),
)
MAX_SHARD_ROWS = 100_000  # of a file; both splits have 60,000
MAX_SHARD_BYTES = 2**29  # without compression; both splits have 140 MB


@dataclass(frozen=True)
class Shard:
    """A Parquet file of one split, named in one of SHARD_NAMES; `total` where its name says it."""

    path: Path
    form: int
    split: str
    index: int
    total: int | None


def find_shards(root: Path) -> dict[Path, list[Shard]]:
    """The shards in `root`, some folders down and in the hub's cache, by the folder of a copy."""
    found = defaultdict(list)
    for path in _parquet_files(root):
        for form, (names, _) in enumerate(SHARD_NAMES):
            if match := names.fullmatch("/".join(path.parts[-2:])):
                split, index, total = match.groups()
                folder = path.parent.parent if path.parent.name == split else path.parent
                shard = Shard(path, form, split, int(index or 0), int(total) if total else None)
                found[folder].append(shard)
    return dict(found)


def other_parquet_files(root: Path) -> str:
    """A word on the Parquet files in `root` for when none of them is a shard; empty without any."""
    paths = [str(path.relative_to(root)) for path in _parquet_files(root)]
    if not paths:
        return ""
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"; {', '.join(paths[:3])}{more} not taken, as no name says which split it is of"


def _parquet_files(root: Path) -> list[Path]:
    patterns = [
        f"{above}{below}.parquet"
        for above in ("", "snapshots/*/", "*/snapshots/*/")  # the hub's cache
        for below in ("*", "*/*", "*/*/*")
    ]
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def read_shards(folder: Path, shards: Sequence[Shard]) -> Raw:
    """Read all shards of both splits. Raises UserError naming a missing or damaged one."""
    return (
        _read_shards_of("train", folder, shards),
        _read_shards_of("test", folder, shards),
    )


def _read_shards_of(split: str, folder: Path, shards: Sequence[Shard]) -> tuple[Images, Labels]:
    own = [shard for shard in shards if shard.split == split]
    by_index = {shard.index: shard.path for shard in own}
    forms = {(shard.form, shard.total) for shard in own} or {(shards[0].form, 1)}
    if len(forms) > 1 or len(by_index) < len(own):
        raise UserError(f"{folder} mixes {split} shards of several downloads: keep one of them")
    form, total = forms.pop()
    total = total or max(by_index, default=0) + 1
    for index in range(total):
        if index not in by_index:
            name = SHARD_NAMES[form][1].format(split=split, index=index, total=total)
            raise UserError(f"{folder / name} is missing: download it again")
    read = [_read_shard(by_index[index]) for index in range(total)]
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
