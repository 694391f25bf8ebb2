"""What a trained network loses with a block: Veit, Wilber and Belongie (2016) at the paper's nets.

A residual net's blocks each add something to what passes by (Fig. 2), so without one of them the
rest still tells something; a plain net has no other way round. Networks are measured in eval mode,
with batch normalisation's own statistics, and are as they were afterwards.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import nn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.subject import Batches, Settings, Subject, Values
from resnet_repro.models.blocks import BasicBlock, Bottleneck, SubsamplePad

IMAGES = 1_000  # the first test images; a CPU takes a minute or two over them
DRAWS = 3  # for each number of blocks deleted at random

Block = BasicBlock | Bottleneck


@dataclass(frozen=True)
class Lesions:
    """Test errors in % of one network, whole and lesioned.

    `deleted` by the block's name, `random` by how many blocks were deleted at once (an error for
    each draw), `swapped` by the names of the two blocks that changed places.
    """

    intact: float
    deleted: dict[str, float]
    random: dict[int, list[float]]
    swapped: dict[tuple[str, str], float]

    @property
    def deletion_rise(self) -> float:
        """By how many points the error rises without one block, mean over the blocks."""
        return statistics.fmean(self.deleted.values()) - self.intact

    @property
    def swap_rise(self) -> float:
        """The same with two blocks swapped; NaN where no two can be."""
        return statistics.fmean(self.swapped.values()) - self.intact if self.swapped else math.nan


def blocks_of(model: nn.Module) -> dict[str, Block]:
    """The blocks of a network by name, from input to output. Raises UserError without any."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, Block)}
    if not found:
        raise UserError("a network without blocks cannot lose one: give a plain or residual net")
    return found


def keeps_shape(block: Block) -> bool:
    """Whether what leaves a block has the size of what enters it."""
    return _sizes(block) == (block.conv1.in_channels, 1)


def bypass(block: Block) -> nn.Module:
    """What is left of a block without its layers.

    Of a residual block ReLU(shortcut), F(x) being zero. Of a plain one, whose layers are dropped,
    the identity, or where the size changes what option A's shortcut does: every second pixel, and
    zeros for the new channels. ReLU changes neither identity nor option A, whose input it made.
    """
    if isinstance(block.downsample, nn.Module):
        return nn.Sequential(block.downsample, nn.ReLU())
    if keeps_shape(block):
        return nn.Identity()
    channels, stride = _sizes(block)
    return SubsamplePad(block.conv1.in_channels, channels, stride)


@contextlib.contextmanager
def replaced(model: nn.Module, parts: Mapping[str, nn.Module]) -> Iterator[None]:
    """Within this, the named modules are these; afterwards they are again what they were."""
    own = {name: model.get_submodule(name) for name in parts}
    try:
        for name, module in parts.items():
            model.set_submodule(name, module)
        yield
    finally:
        for name, module in own.items():
            model.set_submodule(name, module)


def without(model: nn.Module, names: Iterable[str]) -> contextlib.AbstractContextManager[None]:
    """Within this, the named blocks are deleted. Raises UserError for no block's name."""
    blocks = blocks_of(model)
    names = list(names)
    for name in names:
        if name not in blocks:
            raise UserError(f"no block '{name}': give some of {', '.join(blocks)}")
    return replaced(model, {name: bypass(blocks[name]) for name in names})


@torch.no_grad()
def error(model: nn.Module, batches: Batches) -> float:
    """Top-1 error in % over the images, in eval mode; the model's mode stays as it was."""
    was_training = model.training
    model.eval()
    wrong = count = 0
    for x, labels in batches:
        wrong += int((model(x).argmax(1) != labels).sum())
        count += len(labels)
    model.train(was_training)
    return 100.0 * wrong / count


def delete_each(model: nn.Module, batches: Batches) -> dict[str, float]:
    """The error in % without each block in turn, by its name."""
    found = {}
    for name in blocks_of(model):
        with without(model, [name]):
            found[name] = error(model, batches)
    return found


def delete_several(
    model: nn.Module, batches: Batches, draws: int, seed: int = 0
) -> dict[int, list[float]]:
    """The errors in % without 1, 2, ... blocks drawn at random, `draws` times each.

    Of the blocks that keep the size, up to all of them. Two networks with the same blocks lose
    the same ones under one seed. Raises UserError for fewer draws than one.
    """
    if draws < 1:
        raise UserError(f"{draws} draws: give at least 1")
    names = [name for name, block in blocks_of(model).items() if keeps_shape(block)]
    chance = np.random.default_rng(seed)
    found: dict[int, list[float]] = {}
    for count in range(1, len(names) + 1):
        found[count] = []
        for _ in range(draws if count < len(names) else 1):  # there is one way to take all
            drawn = chance.permutation(len(names))[:count]
            with without(model, [names[i] for i in drawn]):
                found[count].append(error(model, batches))
    return found


def swap_each(model: nn.Module, batches: Batches) -> dict[tuple[str, str], float]:
    """The error in % after two blocks of one stage changed places, for every such pair.

    Only blocks that keep the size can.
    """
    blocks = {name: block for name, block in blocks_of(model).items() if keeps_shape(block)}
    found = {}
    for a, b in combinations(blocks, 2):
        if a.rpartition(".")[0] == b.rpartition(".")[0]:
            with replaced(model, {a: blocks[b], b: blocks[a]}):
                found[a, b] = error(model, batches)
    return found


def lesions(model: nn.Module, batches: Batches, draws: int, seed: int = 0) -> Lesions:
    """All of it: whole, without each block, without several, with two swapped."""
    return Lesions(
        intact=error(model, batches),
        deleted=delete_each(model, batches),
        random=delete_several(model, batches, draws, seed),
        swapped=swap_each(model, batches),
    )


def _sizes(block: Block) -> tuple[int, int]:
    """Channels that leave a block, and by how much it divides height and width."""
    convolutions = [m for name, m in block.named_children() if name.startswith("conv")]
    stride = 1
    for convolution in convolutions:
        assert isinstance(convolution, nn.Conv2d)
        stride *= convolution.stride[0]
        channels = convolution.out_channels
    return channels, stride


def measure(subject: Subject) -> tuple[Settings, Values]:
    """Errors in % of the test images; rises in points above the whole network's error."""
    batches = subject.test_batches(IMAGES)
    found = lesions(subject.trained, batches, DRAWS)
    deleted, swapped = list(found.deleted.values()), list(found.swapped.values())
    settings: Settings = {
        "split": "test",
        "images": sum(len(labels) for _, labels in batches),
        "bn": subject.bn,
        "blocks": list(found.deleted),
        "pairs": [list(pair) for pair in found.swapped],
        "draws": DRAWS,
        "seed": 0,
    }
    values: Values = {
        "intact_error": found.intact,
        "deleted_errors": deleted,
        "random_errors": list(found.random.values()),
        "swapped_errors": swapped,
        "deletion_rise": found.deletion_rise,
    }
    if swapped:
        values["swap_rise"] = found.swap_rise
    return settings, values
