"""Counts of a network, `<results>/counts/<network>.json`: what `describe NETWORK --out` writes.

Counting needs torch; reading the counts does not. What a step costs is judged by them: its
multiply-adds per image times the images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from resnet_repro.errors import UserError
from resnet_repro.paths import RECORDED
from resnet_repro.records.files import read_json


@dataclass(frozen=True)
class Count:
    """A network's parameters, and its multiply-adds on one image of (C, H, W)."""

    network: str
    image: tuple[int, int, int]
    parameters: int
    multiply_adds: int


def find_counts(results: Path) -> list[Path]:
    """Every file of counts below `results`, sorted."""
    return sorted((results / "counts").glob("*.json"))


def read_count(path: Path) -> Count:
    """One network's counts.

    Raises UserError when the file is unreadable, names another network, lacks a field, or when
    its stages do not sum to its totals.
    """
    value = read_json(path)
    name = value.get("name")
    if name != path.stem:
        raise _wrong(path, f"describes {name!r}")
    image, stages = value.get("input"), value.get("stages")
    if not isinstance(image, list) or len(image) != 3:
        raise _wrong(path, f"input is {image!r}, not channels, height and width")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise _wrong(path, "lacks its stages")
    channels, height, width = (_whole(n, "input", path) for n in image)
    totals = {}
    for field in ("parameters", "multiply_adds"):
        totals[field] = _whole(value.get(field), field, path)
        parts = sum(_whole(stage.get(field), f"a stage's {field}", path) for stage in stages)
        if parts != totals[field]:
            raise _wrong(path, f"its stages sum to {parts} {field}, not {totals[field]}")
    return Count(path.stem, (channels, height, width), **totals)


def read_counts(folders: Sequence[Path]) -> list[Count]:
    """Every network counted in some of the results folders, once, by name.

    Raises UserError as `read_count`, and when two folders count a network differently.
    """
    found: dict[str, tuple[Count, Path]] = {}
    for folder in folders:
        for path in find_counts(folder):
            count = read_count(path)
            first, where = found.setdefault(count.network, (count, path))
            if first != count:
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
    if not path.exists():
        return None
    count = read_count(path)
    _, height, width = count.image
    if crop is None or (height, width) == (crop, crop):
        return count.multiply_adds
    return round(count.multiply_adds * crop * crop / (height * width))


def _whole(value: object, field: str, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise _wrong(path, f"{field} is {value!r}, not a whole number")
    return value


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path}: {what}; write it anew: `describe {path.stem} --out {path}`")
