"""A figure's files: SVG for light and dark, PNG on white; both say which data they show.

The same records and versions give the same bytes.
"""

from __future__ import annotations

import colorsys
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from resnet_repro.errors import UserError
from resnet_repro.records.files import write_atomic
from resnet_repro.report.plots.style import DPI, style


def save(figure: Figure, folder: Path, stem: str, data_digest: str) -> list[Path]:
    """Write `<stem>.svg` and `<stem>.png`, each with the digest of its data in its metadata.

    Raises UserError when the folder cannot be written.
    """
    description = f"data-sha256: {data_digest}"
    # None leaves a key out: dates and versions would change the bytes of an unchanged figure.
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Description": description, "Date": None, "Creator": None},
        "png": {"Description": description, "Software": None},
    }
    write: dict[str, Callable[..., Any]] = {
        "svg": FigureCanvasSVG(figure).print_svg,
        "png": FigureCanvasAgg(figure).print_png,
    }
    paths = []
    with style():
        engine = figure.get_layout_engine()
        if engine is not None:  # lay out once, not again for each format
            engine.execute(figure)
            figure.set_layout_engine("none")
            for ax in figure.axes:
                # The solver's last digits differ from process to process, and would show.
                x, y, w, h = (round(v, 6) for v in ax.get_position(original=True).bounds)
                ax.set_position((x, y, w, h))
        for kind, entries in metadata.items():
            content = io.BytesIO()
            # Not savefig, which draws every figure twice to find a layout that is known by now.
            write[kind](content, metadata=entries)
            figure.set_dpi(DPI)  # SVG has points for units, and leaves them behind
            data = content.getvalue()
            path = folder / f"{stem}.{kind}"
            write_atomic(path, with_dark(data.decode()).encode() if kind == "svg" else data)
            paths.append(path)
    return paths


def stored_digest(path: Path) -> str:
    """The digest that `save` wrote into an SVG or PNG. Raises UserError when there is none."""
    try:
        # PNG text chunks and SVG metadata both hold it as plain bytes.
        match = re.search(rb"data-sha256: ([0-9a-f]{64})", path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if match is None:
        raise UserError(f"{path} names no data: draw it anew with `report`")
    return match[1].decode()


def with_dark(svg: str) -> str:
    """An SVG of matplotlib's with a style sheet that turns its colours round on a dark page.

    It keeps a background of its own, so that it can be read wherever the page and the reader's
    settings disagree.
    """
    rules = [f"text {{ fill: {dark('#000000')} }}"]  # matplotlib writes no fill of black words
    for colour in sorted(set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg))):
        rules += [
            f'[style*="{kind}: {colour}"] {{ {kind}: {dark(colour)} !important }}'
            for kind in ("fill", "stroke")
            if f"{kind}: {colour}" in svg
        ]
    sheet = "@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}"
    return svg.replace("</metadata>", f"</metadata>\n <style>\n{sheet}\n</style>", 1)


def dark(colour: str) -> str:
    """The colour for a dark page, #rrggbb: the same hue, its lightness turned round.

    Hues are the lines' and stay light enough to be seen; greys are paper and ink.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    turned = 0.92 - 0.83 * lightness
    return to_hex(colorsys.hls_to_rgb(hue, max(turned, 0.6) if saturation else turned, saturation))
