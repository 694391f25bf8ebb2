"""The signal's path: how much of what a block puts out is what it was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor, nn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.lesions import blocks_of, keeps_shape
from resnet_repro.evaluate.probes.subject import Settings, Subject, Values
from resnet_repro.models.blocks import BasicBlock

IMAGES = 1_000  # the first test images


@dataclass(frozen=True)
class BlockSignal:
    """One basic block over some images; strengths are root mean squares.

    `shortcut` is what the shortcut brings to the addition (0 in a plain net), `residual` what the
    block's last batch normalisation does, F(x) in Eqn. 1. `kept` is the cosine between the
    block's input, by way of the shortcut where there is one, and its output after the ReLU;
    None for a plain block that changes the shape, and where one of them is zero.
    """

    name: str  # layer1.0
    shortcut: float
    residual: float
    kept: float | None

    @property
    def share(self) -> float:
        """The shortcut's part of the energy that is added, 0 ... 1."""
        energy = self.shortcut**2 + self.residual**2
        return self.shortcut**2 / energy if energy > 0 else 0.0


@torch.no_grad()
def signal_path(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> list[BlockSignal]:
    """Every basic block from input to output, in eval mode over all the images.

    batches: images (N, C, H, W) as the network takes them, and labels, which play no part. Leaves
    the model in the mode it found it in. Raises UserError without any image.
    """
    blocks = {n: m for n, m in model.named_modules() if isinstance(m, BasicBlock)}
    tallies = {name: _Tally() for name in blocks}
    handles = []
    for name, block in blocks.items():
        handles.append(block.bn2.register_forward_hook(_residual_hook(tallies[name])))
        handles.append(block.register_forward_hook(_block_hook(tallies[name])))
    was_training = model.training
    model.eval()
    try:
        for x, _ in batches:
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    if not all(tally.numbers for tally in tallies.values()):
        raise UserError("no images came by: give at least one batch, and an iterator only once")
    return [tallies[name].signal(name, block.residual) for name, block in blocks.items()]


def by_stage(blocks: Sequence[BlockSignal]) -> dict[str, list[BlockSignal]]:
    """The blocks of each stage (`layer1`, ...), both from input to output."""
    found: dict[str, list[BlockSignal]] = {}
    for block in blocks:
        found.setdefault(block.name.rpartition(".")[0], []).append(block)
    return found


@dataclass
class _Tally:
    """Sums over images, channels and pixels."""

    numbers: int = 0
    residual: float = 0.0  # squares of F(x)
    carried: float = 0.0  # squares of x, by way of the shortcut
    output: float = 0.0  # squares of the block's output
    product: float = 0.0  # carried times output

    def signal(self, name: str, has_shortcut: bool) -> BlockSignal:
        lengths = math.sqrt(self.carried * self.output)
        return BlockSignal(
            name,
            shortcut=math.sqrt(self.carried / self.numbers) if has_shortcut else 0.0,
            residual=math.sqrt(self.residual / self.numbers),
            kept=self.product / lengths if lengths > 0 else None,
        )


Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]


def _residual_hook(tally: _Tally) -> Hook:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # Taken before the in-place ReLU or addition that follows can change it.
        tally.numbers += output.numel()
        tally.residual += output.double().square().sum().item()

    return hook


def _block_hook(tally: _Tally) -> Hook:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, BasicBlock)
        x = inputs[0] if module.downsample is None else module.downsample(inputs[0])
        if x.shape != output.shape:  # a plain block between two stages
            return
        x, y = x.double(), output.double()
        tally.carried += x.square().sum().item()
        tally.output += y.square().sum().item()
        tally.product += (x * y).sum().item()

    return hook


def measure(subject: Subject) -> tuple[Settings, Values]:
    """By block: strengths of shortcut and residual, the shortcut's share, and what is kept.

    The mean of what is kept is over the blocks that keep the shape: those a plain net has it of.
    """
    batches = subject.test_batches(IMAGES)
    found = signal_path(subject.trained, batches)
    blocks = blocks_of(subject.trained)
    kept = {s.name: s.kept for s in found if s.kept is not None}
    compared = [cosine for name, cosine in kept.items() if keeps_shape(blocks[name])]
    settings: Settings = {
        "split": "test",
        "images": sum(len(labels) for _, labels in batches),
        "bn": subject.bn,
        "blocks": [s.name for s in found],
        "kept_blocks": list(kept),
    }
    values: Values = {
        "shortcuts": [s.shortcut for s in found],
        "residuals": [s.residual for s in found],
        "shares": [s.share for s in found],
        "kept": list(kept.values()),
    }
    if compared:
        values["signal_kept"] = fmean(compared)
    return settings, values
