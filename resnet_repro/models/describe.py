"""What a network is made of, counted from the network itself: layers, shapes, parameters, cost.

Nothing is looked up or typed in: the network is built on torch's meta device, where tensors have
shapes and no values, and run once on a batch of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_repro.errors import UserError
from resnet_repro.models.blocks import BasicBlock, Bottleneck
from resnet_repro.models.cifar import CifarResNet
from resnet_repro.models.construct import construct
from resnet_repro.models.imagenet import ResNet
from resnet_repro.models.names import CifarName, parse

CIFAR_SIZE = 32
IMAGENET_SIZE = 224
VGG_SMALLEST = 32  # five max pools halve the map; a smaller image has no pixel left

Modules = Mapping[str, nn.Module]  # by their path in the network, in the order they run


@dataclass(frozen=True)
class Stage:
    """A row of Table 1: what maps of one size are made by."""

    name: str
    blocks: str  # in words, as in Table 1: `3 x [3x3, 16; 3x3, 16]`
    output_shape: tuple[int, ...]  # without the batch: (C, H, W), or (classes,)
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Description:
    """A network on images of one size.

    `layers` are the weighted layers the paper's names count: convolutions and linear layers,
    without the projections on shortcuts. `multiply_adds` are those of every convolution,
    projections included, and of the linear layers; batch normalisation, ReLU, pooling and
    additions are not counted.
    """

    name: str
    input_shape: tuple[int, int, int]  # (C, H, W)
    layers: int
    parameters: int
    multiply_adds: int
    stages: tuple[Stage, ...]


def describe(
    name: str,
    *,
    in_channels: int | None = None,
    size: int | None = None,
    num_classes: int | None = None,
) -> Description:
    """Describe the network called `name` on images of `size` x `size` pixels.

    Unless given, the input is the data set's usual: 3 channels, 32 pixels and 10 classes for a
    CIFAR name, 224 pixels and 1000 classes for an ImageNet one. Raises UserError as `build`
    does, and for a size the network cannot take.
    """
    parsed = parse(name)
    if size is None:
        size = CIFAR_SIZE if isinstance(parsed, CifarName) else IMAGENET_SIZE
    smallest = VGG_SMALLEST if parsed.family == "vgg" else 1
    if size < smallest:
        raise UserError(f"{name} on images of {size} pixels: give at least {smallest}")
    in_channels = 3 if in_channels is None else in_channels
    with torch.device("meta"):
        model = construct(name, num_classes=num_classes, in_channels=in_channels).eval()
    parts = _stage_modules(model)
    shapes, flops = _run(model, parts, (1, in_channels, size, size))
    stages = tuple(
        Stage(
            name=stage,
            blocks=_words(modules.values()),
            output_shape=shapes[stage],
            parameters=sum(_parameters(module) for module in modules.values()),
            multiply_adds=sum(flops.get(path, 0) for path in modules) // 2,
        )
        for stage, modules in parts.items()
    )
    return Description(
        name=name,
        input_shape=(in_channels, size, size),
        layers=len(_weighted(model)),
        parameters=_parameters(model),
        multiply_adds=flops[""] // 2,
        stages=stages,
    )


def to_json(description: Description) -> dict[str, Any]:
    """The description as plain JSON values; the keys are a promise to whoever reads them."""
    return {
        "name": description.name,
        "input": list(description.input_shape),
        "depth": description.layers,
        "parameters": description.parameters,
        "multiply_adds": description.multiply_adds,
        "stages": [
            {
                "name": stage.name,
                "layers": stage.blocks,
                "output": list(stage.output_shape),
                "parameters": stage.parameters,
                "multiply_adds": stage.multiply_adds,
            }
            for stage in description.stages
        ],
    }


def _stage_modules(model: nn.Module) -> dict[str, Modules]:
    """The modules of each stage; together they hold every parameter once."""
    stages: dict[str, list[str]] = {}
    if isinstance(model, CifarResNet | ResNet):
        children = [path for path, _ in model.named_children()]
        stages["conv1"] = ["conv1", "bn1"]
        for path in children:
            if path == "maxpool" or path.startswith("layer"):
                stages[path] = [path]
        stages["fc"] = ["avgpool", "fc"]
    else:  # VGG: a max pool ends each stage
        number = 1
        for index, module in model.get_submodule("features").named_children():
            stages.setdefault(f"conv{number}", []).append(f"features.{index}")
            number += isinstance(module, nn.MaxPool2d)
        stages["fc"] = ["avgpool", "classifier"]
    return {
        stage: {path: model.get_submodule(path) for path in paths}
        for stage, paths in stages.items()
    }


def _run(
    model: nn.Module, parts: Mapping[str, Modules], shape: tuple[int, ...]
) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
    """Output shape by stage, and floating-point operations by module path ("" for the whole).

    FlopCounterMode counts two operations for a multiply-add.
    """
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(stage: str, last: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            shapes[stage] = tuple(output.shape[1:])

        last.register_forward_hook(hook)

    for stage, modules in parts.items():
        watch(stage, list(modules.values())[-1])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.empty(shape, device="meta"))
    root = type(model).__name__
    flops = {"": counter.get_total_flops()}
    for path, by_operator in counter.get_flop_counts().items():
        if path.startswith(f"{root}."):
            flops[path.removeprefix(f"{root}.")] = sum(by_operator.values())
    return shapes, flops


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _weighted(module: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers of the main path, which are what `depth` counts."""
    return [
        layer
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in path.split(".")
    ]


def _projections(module: nn.Module) -> int:
    """How many shortcuts are 1x1 convolutions (options B and C)."""
    return sum(
        isinstance(layer, nn.Conv2d) and "downsample" in path.split(".")
        for path, layer in module.named_modules()
    )


def _words(modules: Iterable[nn.Module]) -> str:
    """A stage as Table 1 writes it: `3 x [3x3, 16; 3x3, 16]`, `7x7, 64, stride 2`."""
    words: list[str] = []
    for module in modules:
        if isinstance(module, nn.Sequential) and isinstance(module[0], BasicBlock | Bottleneck):
            blocks = ["; ".join(_layer(layer) for layer in _weighted(block)) for block in module]
            words += [f"{len(list(same))} x [{block}]" for block, same in groupby(blocks)]
            if projections := _projections(module):
                words.append(f"{projections} projection{'s' if projections > 1 else ''}")
        else:
            words += [_layer(layer) + _stride(layer) for layer in module.modules() if _layer(layer)]
    # VGG's equal convolutions follow one another without a block around them.
    counted = [(word, len(list(same))) for word, same in groupby(words)]
    return ", ".join(f"{n} x [{word}]" if n > 1 else word for word, n in counted)


def _layer(layer: nn.Module) -> str:
    """One layer in words; empty for what Table 1 leaves out."""
    if isinstance(layer, nn.Conv2d):
        return f"{layer.kernel_size[0]}x{layer.kernel_size[1]}, {layer.out_channels}"
    if isinstance(layer, nn.MaxPool2d):
        return f"{layer.kernel_size}x{layer.kernel_size} max pool"
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        size = layer.output_size
        return f"average pool to {size[0]}x{size[1]}" if isinstance(size, tuple) else "average pool"
    if isinstance(layer, nn.Linear):
        return f"{layer.out_features}-d fc"
    return ""


def _stride(layer: nn.Module) -> str:
    """What follows a layer that halves its map; inside blocks Table 1 leaves it to the sizes."""
    halves = isinstance(layer, nn.Conv2d | nn.MaxPool2d) and layer.stride in (2, (2, 2))
    return ", stride 2" if halves else ""
