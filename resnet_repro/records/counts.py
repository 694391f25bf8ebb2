"""Counts of a network, `<results>/counts/<network>.json`: what `describe NETWORK --out` writes.

Counting needs torch; reading the counts does not. What a step costs is judged by them: its
multiply-adds per image times the images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from resnet_repro.errors import UserError
from resnet_repro.paths import RECORDED
from resnet_repro.records.files import convert, is_file, read_json
from resnet_repro.records.schema import Positive, Whole


class CountedStage(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of Table 1: its layers in words; the output is (C, H, W) or, of classes, (K,)."""

    name: str
    layers: str
    output: tuple[Positive, ...]
    parameters: Whole
    multiply_adds: Whole


class Count(Struct, frozen=True, forbid_unknown_fields=True):
    """A network's parameters, and its multiply-adds on one image of (C, H, W)."""

    name: str
    input: tuple[Positive, Positive, Positive]
    depth: Positive
    parameters: Whole
    multiply_adds: Whole
    stages: tuple[CountedStage, ...]


def find_counts(results: Path) -> list[Path]:
    """Every file of counts below `results`, sorted."""
    return sorted((results / "counts").glob("*.json"))


def read_count(path: Path) -> Count:
    """One network's counts.

    Raises UserError when the file is unreadable, names another network, lacks a field, or when
    its stages do not sum to its totals.
    """
    count = convert(read_json(path), Count, path)
    if count.name != path.stem:
        raise _wrong(path, f"describes {count.name!r}")
    for field in ("parameters", "multiply_adds"):
        total, parts = getattr(count, field), sum(getattr(stage, field) for stage in count.stages)
        if parts != total:
            raise _wrong(path, f"its stages sum to {parts} {field}, not {total}")
    return count


def read_counts(folders: Sequence[Path]) -> list[Count]:
    """Every network counted in some of the results folders, once, by name.

    Raises UserError as `read_count`, and when two folders count a network differently.
    """
    found: dict[str, tuple[Count, Path]] = {}
    for folder in folders:
        for path in find_counts(folder):
            count = read_count(path)
            first, where = found.setdefault(count.name, (count, path))
            if _totals(first) != _totals(count):
                raise UserError(f"{where} and {path} count differently: report them separately")
    return [found[name][0] for name in sorted(found)]


@lru_cache(maxsize=64)
def multiply_adds(network: str, crop: int | None = None, results: Path = RECORDED) -> int | None:
    """A network's multiply-adds on one image, forward, by its committed count; None without one.

    crop: side of the image in pixels, where it is another than the counted one. The count is
    then scaled by the area, which is exact but for the linear layer and for maps whose size
    rounds. Raises UserError when the count is damaged.
    """
    path = results / "counts" / f"{network}.json"
    if not is_file(path):
        return None
    count = read_count(path)
    _, height, width = count.input
    if crop is None or (height, width) == (crop, crop):
        return count.multiply_adds
    return round(count.multiply_adds * crop * crop / (height * width))


def _totals(count: Count) -> tuple[object, ...]:
    return count.input, count.parameters, count.multiply_adds


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}; write it anew: `describe {path.stem} --out {path}`")
