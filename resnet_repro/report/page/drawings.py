"""The networks as inline SVG, drawn from their counts: Figs 2, 3 and 5, and the CIFAR nets.

Text in the drawings is English and takes its colours and fonts from the page's style sheet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby

from resnet_repro.models.names import parse
from resnet_repro.report.page.layers import Layer, Network

TIMES = "\N{MULTIPLICATION SIGN}"
ROW, BOX = 18, 13  # Fig. 3: height of a layer's row and of its bar
ARCS, BAR, WIDTH = 26, 84, 372  # width of the shortcuts, of the longest bar, of a column
HEAD = 44
OUTPUT, PARAMS = 262, 316  # where the columns of numbers end; the last ends at WIDTH
TICK = 8  # CIFAR nets: width of a layer
LINE = 110  # layers in a line
BAND = 30  # height of a line


def short(number: int) -> str:
    """Three digits and a unit: 115605504 -> 116 M, 36992 -> 37.0 k."""
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= factor:
            value = number / factor
            return f"{value:.2f} {unit}" if value < 10 else f"{value:.3g} {unit}"
    return str(number)


def shape_text(shape: Sequence[int]) -> str:
    """64 x 56 x 56 with the sign the page uses."""
    return TIMES.join(str(n) for n in shape)


def _words(layer: Layer) -> str:
    return re.sub(r"(?<=\d)x(?=\d)", TIMES, layer.words)


def told(layer: Layer) -> str:
    """A layer in one line, every digit of its counts."""
    parts = [f"{layer.name}: {layer.words}", f"output {shape_text(layer.output)}"]
    if layer.kind != "pool":
        parts += [f"{layer.parameters:,} parameters", f"{layer.multiply_adds:,} multiply-adds"]
    return "; ".join(parts)


def net_anchor(network: str, part: str = "") -> str:
    """The page's anchor of a network, or of one of its layers or stages."""
    return f"net-{network}-{part}" if part else f"net-{network}"


# --- Fig. 3


def side_by_side(networks: Sequence[Network]) -> list[str]:
    """Fig. 3: an SVG a network, their maps of one size at one height.

    A row is a layer; its bar is as long as its multiply-adds, on one scale for all.
    """
    rows = {net.name: _by_size(net) for net in networks}
    sizes = sorted({size for found in rows.values() for size in found}, reverse=True)
    tops, y = {}, HEAD
    for size in sizes:
        tops[size] = y
        y += max(len(found.get(size, [])) for found in rows.values()) * ROW + 10
    longest = max(layer.multiply_adds for net in networks for layer in net.layers)
    return [_column(net, rows[net.name], tops, y, longest) for net in networks]


def _by_size(net: Network) -> dict[int, list[Layer]]:
    """A network's layers by the side of their output; projections stand on their shortcuts."""
    found: dict[int, list[Layer]] = {}
    for layer in net.layers:
        if layer.kind != "projection":
            found.setdefault(layer.output[1] if len(layer.output) == 3 else 1, []).append(layer)
    return found


def _column(
    net: Network, rows: dict[int, list[Layer]], tops: dict[int, int], height: int, longest: int
) -> str:
    label = f"{net.name}: {net.depth} layers, {net.parameters:,} parameters, "
    label += f"{net.multiply_adds:,} multiply-adds"
    parts = [
        f'<svg class="net" viewBox="0 0 {WIDTH} {height}" role="group" '
        f'aria-label="{escape(label)}" id="{net_anchor(net.name)}">',
        _text(ARCS, 14, _title(net.name), "name"),
        _text(
            WIDTH, 14, f"{short(net.parameters)} params, {short(net.multiply_adds)} m-adds", "sum"
        ),
        _text(ARCS + BAR + 8, 34, "layer", "head"),
        _text(OUTPUT, 34, "output", "head end"),
        _text(PARAMS, 34, "params", "head end"),
        _text(WIDTH, 34, "m-adds", "head end"),
    ]
    places: dict[tuple[str, int], list[int]] = {}
    for size, layers in rows.items():
        y = tops[size]
        band = len(layers) * ROW + 4
        parts.append(f'<rect class="band" x="0" y="{y - 4}" width="{WIDTH}" height="{band}"/>')
        for i, layer in enumerate(layers):
            parts.append(_row(net, layer, y + i * ROW, longest))
            if layer.block >= 0:
                stage = layer.name.split(".")[0]
                places.setdefault((stage, layer.block), []).append(y + i * ROW)
    if not parse(net.name).plain:
        parts += [_arc(net, key, ys) for key, ys in places.items()]
    return "".join([*parts, "</svg>"])


def _row(net: Network, layer: Layer, y: int, longest: int) -> str:
    middle = y + BOX - 3
    width = max(1.5, BAR * layer.multiply_adds / longest) if layer.multiply_adds else 0
    parts = [
        f'<g class="{layer.kind}" id="{net_anchor(net.name, layer.name)}">',
        f"<title>{escape(told(layer))}</title>",
    ]
    if width:
        parts.append(
            f'<rect class="bar" x="{ARCS}" y="{y}" width="{width:.1f}" height="{BOX}" rx="1"/>'
        )
    parts.append(_text(ARCS + BAR + 8, middle, _words(layer), "words"))
    parts.append(_text(OUTPUT, middle, shape_text(layer.output), "end"))
    if layer.kind != "pool":
        parts.append(_text(PARAMS, middle, short(layer.parameters), "end"))
        parts.append(_text(WIDTH, middle, short(layer.multiply_adds), "end"))
    return "".join([*parts, "</g>"])


def _arc(net: Network, key: tuple[str, int], ys: list[int]) -> str:
    """A block's shortcut, from above its first layer to below its last; dashed where sizes change.

    The size changes in the first block of every stage but the first.
    """
    stage, block = key
    changes = block == 0 and stage != "layer1"
    start, end = ys[0] - 2, ys[-1] + ROW - 4
    kind = "shortcut changes" if changes else "shortcut"
    words = "zero-padded shortcut, stride 2" if changes else "identity shortcut"
    return (
        f'<path class="{kind}" d="M{ARCS} {start}C{ARCS - 24} {start} {ARCS - 24} {end} '
        f'{ARCS} {end}"><title>{stage}.{block}: {words}</title></path>'
    )


def _title(network: str) -> str:
    """The paper's name of a drawn network."""
    return parse(network).label.removesuffix("-A")


# --- Figs 2 and 5


def block(
    label: str,
    enters: str,
    layers: Sequence[Sequence[str]],
    *,
    shortcut: str = "",
    leaves: Sequence[str] = ("ReLU",),
) -> str:
    """A building block: its layers top down, the shortcut beside them, the sum below.

    layers: what stands in each box, and what below it. leaves: what stands below the sum.
    """
    # x, box: where the boxes stand; side: where the shortcut runs down
    step, top, x, box, side = 64, 40, 10, 128, 258
    middle = x + box / 2
    end = top + step * len(layers) + 8
    parts = [
        f'<svg class="block" viewBox="0 0 280 {end + 56}" role="img" aria-label="{escape(label)}">',
        _text(middle, 16, enters, "middle enters"),
        f'<path class="flow" d="M{middle} 22V{top}"/>',
    ]
    for i, (inside, *beside) in enumerate(layers):
        y = top + i * step
        parts.append(f'<rect class="box" x="{x}" y="{y}" width="{box}" height="30" rx="3"/>')
        parts.append(_text(middle, y + 19, inside, "middle words"))
        for j, text in enumerate(beside):
            parts.append(_text(middle + 8, y + 44 + 13 * j, text, "beside"))
        parts.append(f'<path class="flow" d="M{middle} {y + 30}V{y + step}"/>')
    parts += [
        f'<path class="shortcut" d="M{middle} 30H{side}V{end}H{middle + 10}"/>',
        _text(side - 6, (30 + end) / 2, shortcut, "end beside"),
        f'<circle class="sum" cx="{middle}" cy="{end}" r="9"/>',
        f'<path class="plus" d="M{middle - 5} {end}h10M{middle} {end - 5}v10"/>',
        f'<path class="flow" d="M{middle} {end + 9}V{end + 46}"/>',
    ]
    for j, text in enumerate(leaves):
        parts.append(_text(middle + 8, end + 26 + 13 * j, text, "beside"))
    return "".join([*parts, "</svg>"])


def counted_block(net: Network, stage: str, number: int, words: str) -> str:
    """Fig. 5: a block as counted, its maps' size and costs beside the layers."""
    found = next(s for s in net.stages if s.name == stage)
    layers = [la for la in found.layers if la.block == number and la.kind == "conv"]
    channels = layers[-1].output[0]
    inside = [
        (
            _words(la),
            "ReLU" if la is not layers[-1] else "",
            f"{short(la.parameters)} params, {short(la.multiply_adds)} m-adds",
        )
        for la in layers
    ]
    label = f"{words}: " + "; ".join(told(la) for la in layers)
    size = shape_text(found.output[1:])
    return block(label, f"{channels}-d, {size}", inside)


# --- CIFAR nets


def strip(net: Network) -> str:
    """A CIFAR net, a tick a layer and 110 layers a line, its stages in shades, shortcuts above."""
    kinds = [
        (stage.name, layer.block)
        for stage in net.stages
        for layer in stage.layers
        if layer.kind in ("conv", "fc")
    ]
    lines = -(-len(kinds) // LINE)
    parts = [
        f'<svg class="strip" viewBox="0 0 {LINE * TICK} {lines * BAND}" role="img" '
        f'aria-label="{escape(net.name)}: {net.depth} layers">'
    ]
    for name, places in groupby(range(len(kinds)), lambda i: kinds[i][0]):
        stage = next(s for s in net.stages if s.name == name)
        ticks = "".join(f"M{_x(i)} {_y(i) + 12}h6v14h-6z" for i in places)
        words = f"{stage.name}: {stage.words}; output {shape_text(stage.output)}; "
        words += f"{stage.parameters:,} parameters; {stage.multiply_adds:,} multiply-adds"
        parts.append(f'<path class="{name}" d="{ticks}"><title>{escape(words)}</title></path>')
    if not parse(net.name).plain:
        pairs = [i for i in range(len(kinds) - 1) if kinds[i][1] >= 0 and kinds[i] == kinds[i + 1]]
        arcs = "".join(f"M{_x(i) + 1} {_y(i) + 10}q6 -10 12 0" for i in pairs if _y(i) == _y(i + 1))
        parts.append(f'<path class="shortcut" d="{arcs}"/>')
    return "".join([*parts, "</svg>"])


def _x(index: int) -> int:
    return index % LINE * TICK + 1


def _y(index: int) -> int:
    return index // LINE * BAND


def _text(x: float, y: float, words: str, kind: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'
