"""The tables of the photographs' benchmark, from what its file holds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.decoders import PILLOW
from benchmarks.images import OURS, PIPELINES
from resnet_repro.markup import Grid, markdown_grid

COLUMNS = ("shorter side", "pipeline", "images/s and core", "range", "ours over it")
WAY_COLUMNS = (
    *("shorter side", "decoded and cut by", "ms an image", "Pillow's time over it"),
    *("pixels that differ", "by, on average", "at most"),
)


def markdown(about: Mapping[str, Any]) -> str:
    """The tables of what `described` says, and a line that says what was measured where."""
    versions = about["versions"]
    sizes = "; ".join(
        f"shorter side {found['shorter_side']}: {found['images']:,} files, "
        f"{found['bytes'] / 1000:.0f} kB on average"
        for found in about["measured"]
    )
    words = (
        f"{about['processor']}, {about['instructions']}, 1 thread, {about['workers']} worker "
        f"processes, {about['cores']} cores; torch {versions['torch']}, torchvision "
        f"{versions['torchvision']}, pillow {versions['pillow']}, simplejpeg "
        f"{versions['simplejpeg']}. Crop {about['crop']}, batches of {about['batch_size']}, "
        f"{about['compared']} images decoded; {sizes}. Medians of {about['repeats']} repeats "
        f"of {about['seconds']:g} s and their ratios."
    )
    grids = (Grid(COLUMNS, rows(about)), Grid(WAY_COLUMNS, way_rows(about)))
    return "\n".join([*(markdown_grid(grid) for grid in grids), words]) + "\n"


def rows(about: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The pipelines, COLUMNS each; the ratio is the median of the repeats' ratios."""
    return tuple(
        (
            str(found["shorter_side"]),
            name,
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f} - {max(rates):,.0f}",
            f"{_ratio(found['images_per_second_and_core'][OURS], rates):.2f}",
        )
        for found in about["measured"]
        for name in PIPELINES
        for rates in [found["images_per_second_and_core"][name]]
    )


def way_rows(about: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The ways to decode, WAY_COLUMNS each."""
    return tuple(
        (
            str(found["shorter_side"]),
            way["way"],
            f"{statistics.median(way['milliseconds']):.2f}",
            f"{_ratio(by_pillow, way['milliseconds']):.2f}",
            f"{way['differing']:.1f} %",
            f"{way['mean']:.3f}",
            str(way["greatest"]),
        )
        for found in about["measured"]
        for (by_pillow,) in [[w["milliseconds"] for w in found["decoders"] if w["way"] == PILLOW]]
        for way in found["decoders"]
    )


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
