"""The layers of a counted network, each with its shape, parameters and multiply-adds.

The committed counts (`results/recorded/counts`) hold stages; what a stage's layers cost follows
from its words and its maps' sizes. The layers of a stage must sum to what was counted of it, so
that no drawing can say anything else than the count.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.errors import UserError
from resnet_repro.models.names import parse
from resnet_repro.records.counts import read_count

Shape = tuple[int, ...]  # (C, H, W), or (classes,)


@dataclass(frozen=True)
class Layer:
    """A layer as Table 1 writes it. `block` counts a stage's blocks from 0; -1 outside of any."""

    name: str  # layer2.0.conv1; a pool or the linear layer by the stage's name and its place
    words: str  # 3x3, 128; max pool, /2; 1000-d fc
    kind: str  # conv, projection, pool, fc
    output: Shape
    parameters: int
    multiply_adds: int
    block: int = -1


@dataclass(frozen=True)
class DrawnStage:
    """A row of Table 1."""

    name: str
    words: str
    output: Shape
    parameters: int
    multiply_adds: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Network:
    """A counted network on one image of the shape `image`."""

    name: str
    image: Shape
    depth: int
    parameters: int
    multiply_adds: int
    stages: tuple[DrawnStage, ...]

    @property
    def layers(self) -> list[Layer]:
        return [layer for stage in self.stages for layer in stage.layers]


_TOKEN = re.compile(
    r"(?P<repeat>\d+) x \[(?P<block>[^\]]+)\]"
    r"|(?P<pool>\d+)x\d+ max pool"
    r"|(?P<projections>\d+) projections?"
    r"|average pool(?: to (?P<to>\d+)x\d+)?"
    r"|(?P<fc>\d+)-d fc"
    r"|(?P<conv>\d+)x\d+, (?P<channels>\d+)"
    r"|stride 2"
)


def read_network(path: Path) -> Network:
    """A network's counts and its layers.

    For the forms the paper draws: a stage's first convolution has its stride. Raises UserError
    when the file is damaged, or when the layers of a stage do not sum to its counts.
    """
    count = read_count(path)  # checks the totals
    stages, shape = [], tuple(count.input)
    for stage in count.stages:
        layers = _layers(path, stage.name, stage.layers, shape, stage.output)
        for field in ("parameters", "multiply_adds"):
            found = sum(getattr(layer, field) for layer in layers)
            if found != getattr(stage, field):
                raise UserError(
                    f"{path}: the layers of {stage.name} sum to {found} {field}, "
                    f"not {getattr(stage, field)}: write it anew with `describe`"
                )
        stages.append(
            DrawnStage(
                stage.name,
                stage.layers,
                stage.output,
                stage.parameters,
                stage.multiply_adds,
                tuple(layers),
            )
        )
        shape = stage.output
    return Network(
        count.name, count.input, count.depth, count.parameters, count.multiply_adds, tuple(stages)
    )


def _layers(path: Path, stage: str, words: str, before: Shape, after: Shape) -> list[Layer]:
    """The layers of one stage, from its words and the shapes around it."""
    # Its convolutions have biases; the others' are normalised.
    vgg = parse(path.stem).family == "vgg"
    layers: list[Layer] = []
    shape, blocks = before, []  # blocks: (input channels, output shape) of each
    # A pool behind convolutions halves what they leave; else a stage's first layer has.
    size = (before if "max pool" in words else after)[1] if len(after) == 3 else 0
    for token in _tokens(path, words):
        if token["block"] or token["conv"]:
            items = token["block"] or token[0]
            for number in range(int(token["repeat"] or 1)):
                channels = shape[0]
                for place, item in enumerate(items.split("; "), 1):
                    if item.endswith("-d fc"):
                        layers.append(_linear(f"{stage}.{len(layers)}", item, shape))
                    elif vgg or not token["block"]:
                        name = f"{stage}_{number + 1}" if token["block"] else stage
                        layers.append(_conv(name, item, shape[0], size, bias=vgg))
                    else:
                        conv = _conv(f"{stage}.{number}.conv{place}", item, shape[0], size)
                        layers.append(dataclasses.replace(conv, block=number))
                    shape = layers[-1].output
                blocks.append((channels, shape))
        elif token["pool"]:
            shape = after
            layers.append(Layer(f"{stage}.pool", "max pool, /2", "pool", after, 0, 0))
        elif token["projections"]:
            for number in range(int(token["projections"])):
                layers.append(_projection(stage, number, *blocks[number]))
        elif token["fc"]:
            layers.append(_linear(f"{stage}.{len(layers)}", token[0], shape))
            shape = layers[-1].output
        elif token[0].startswith("average pool"):
            pooled = (shape[0], int(token["to"] or 1), int(token["to"] or 1))
            if pooled != shape:  # VGG's leaves a 224-pixel image's map as it is
                layers.append(Layer(f"{stage}.pool", "average pool", "pool", pooled, 0, 0))
            shape = pooled
    return layers


def _tokens(path: Path, words: str) -> list[re.Match[str]]:
    found, place = [], 0
    while place < len(words):
        match = _TOKEN.match(words, place)
        if match is None:
            raise UserError(f"{path}: cannot read the layers {words[place:]!r}")
        found.append(match)
        place = match.end()
        place += 2 if words.startswith(", ", place) else 0
    return found


def _conv(name: str, words: str, channels: int, size: int, *, bias: bool = False) -> Layer:
    kernel, filters = (int(n) for n in re.findall(r"\d+", words)[1:])
    weights = kernel * kernel * channels * filters
    extra = filters if bias else 2 * filters  # a bias, or batch normalisation's scale and shift
    output = (filters, size, size)
    return Layer(name, words, "conv", output, weights + extra, weights * size * size)


def _projection(stage: str, number: int, channels: int, output: Shape) -> Layer:
    weights = channels * output[0]
    return Layer(
        f"{stage}.{number}.downsample",
        f"1x1, {output[0]}",
        "projection",
        output,
        weights + 2 * output[0],
        weights * output[1] * output[2],
        number,
    )


def _linear(name: str, words: str, shape: Shape) -> Layer:
    inputs, outputs = 1, int(words.split("-")[0])
    for n in shape:
        inputs *= n
    return Layer(name, words, "fc", (outputs,), (inputs + 1) * outputs, inputs * outputs)
