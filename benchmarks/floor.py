"""The least time a training step can take on a machine, from counts and measured rates.

The floor is the largest of three times:

- multiply-adds of a step over the matrix rate. A step is taken as three forward passes: the
  output, the gradient of the input, the gradient of the weights. (The first convolution needs
  no gradient of its input; it is under 1 % of the whole.)
- bytes that the convolutions move over the bandwidth. Each convolution's input is read and its
  output written once forward; backward its output's gradient is read twice and its input once,
  and its input's gradient is written (not for the first). Batch normalisation, ReLU and additions
  are taken as fused for nothing; weights are negligible. In the activations' number type.
- CUDA: kernels and copies of a step times the time of one in a captured graph.

It bounds the plain computation, so a step can beat it: Winograd convolutions need fewer
multiplications than the definition, and maps that stay in a cache move no bytes to memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnet_repro.models.construct import construct
from resnet_repro.models.describe import CIFAR_SIZE, describe

PASSES = 3  # forward passes that a training step costs
ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "bf16": 2}


@dataclass(frozen=True)
class Maps:
    """Numbers in a convolution's input and output for one image."""

    read: int
    written: int
    first: bool = False  # its input is an image, which needs no gradient


@dataclass(frozen=True)
class Work:
    """What one training step must do."""

    multiply_adds: int
    bytes: int
    nodes: int | None = None  # kernels and copies; None: not on CUDA, or not counted


@dataclass(frozen=True)
class Rates:
    """What the machine was measured to do."""

    multiply_adds_per_second: float
    bytes_per_second: float
    seconds_per_node: float | None = None


@dataclass(frozen=True)
class Floor:
    """The least seconds of a step, and what sets them: arithmetic, memory or launches."""

    seconds: float
    limit: str


def conv_bytes(maps: Sequence[Maps], batch_size: int, element_bytes: int) -> int:
    """Bytes that convolutions must move in one training step, counted as above."""
    forward = sum(m.read + m.written for m in maps)
    backward = sum(2 * m.written + m.read + (0 if m.first else m.read) for m in maps)
    return (forward + backward) * batch_size * element_bytes


def floor(work: Work, rates: Rates) -> Floor:
    """The largest of the three times."""
    times = {
        "arithmetic": work.multiply_adds / rates.multiply_adds_per_second,
        "memory": work.bytes / rates.bytes_per_second,
    }
    if work.nodes is not None and rates.seconds_per_node is not None:
        times["launches"] = work.nodes * rates.seconds_per_node
    limit = max(times, key=times.__getitem__)
    return Floor(times[limit], limit)


def conv_maps(network: str) -> list[Maps]:
    """The maps of each convolution of a CIFAR network, in the order they run."""
    found: list[Maps] = []

    def count(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(Maps(inputs[0].numel(), output.numel(), first=not found))

    with torch.device("meta"):
        model = construct(network).eval()
        image = torch.empty(1, 3, CIFAR_SIZE, CIFAR_SIZE)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(image)
    return found


def step_work(network: str, batch_size: int, precision: str, nodes: int | None) -> Work:
    """The work of one training step of `network` on CIFAR-10's images."""
    return Work(
        multiply_adds=PASSES * describe(network).multiply_adds * batch_size,
        bytes=conv_bytes(conv_maps(network), batch_size, ELEMENT_BYTES[precision]),
        nodes=nodes,
    )
