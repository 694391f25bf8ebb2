"""Identity by construction: nets made deeper without a change in what they compute.

Section 1 of the paper: a deeper net has a solution as good as the shallower one's, as its added
layers may be identities. Section 3.1 argues that a residual block finds an identity more easily.
Here the solution is written down, for both kinds of net.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.subject import Batches, Settings, Subject, Values
from resnet_repro.models.blocks import BasicBlock, Shortcut, initialise
from resnet_repro.models.names import CifarName, parse

IMAGES = 1_000  # the first training images, not augmented
DEPTHS = (20, 32, 44, 56)  # layers of the plain nets in Fig. 6; a net is deepened to each

Places = Mapping[str, Sequence[int]]  # stage (`layer1`, ...) -> blocks, counted from 0


def relative_change(x: float, before: float, after: float) -> tuple[float, float]:
    """How far the mapping must move for the output at `x` to go from `before` to `after`.

    Returns the change relative to what a plain layer H(x) = y puts out, and relative to what a
    residual one F(x) = y - x does (section 3.1); 0.02 is 2 %. Raises UserError where either
    puts out nothing, as nothing has no relative change.
    """
    if before == 0 or before == x:
        raise UserError(f"output {before} at input {x}: give one that is neither 0 nor the input")
    return abs(after - before) / abs(before), abs(after - before) / abs(before - x)


def identity_block(
    channels: int, shortcut: Shortcut, seed: int = 0, dtype: torch.dtype = torch.float32
) -> BasicBlock:
    """A block (N, channels, H, W) -> the same that passes on what is not negative, in eval mode.

    With a shortcut: the residual's last batch normalisation is zeroed, its convolutions are as
    they are initialised from `seed`; F(x) = 0, and in training mode too. Without: both
    convolutions are delta kernels, and batch normalisation undoes its own scaling. The ReLU
    leaves alone what is not negative, and what a block is given comes from a ReLU.
    """
    block = BasicBlock(channels, channels, 1, shortcut, nn.BatchNorm2d)
    initialise(block, "fan_out", seed)
    block = block.to(dtype)  # before a scale is set that this precision must hold
    if block.residual:
        nn.init.zeros_(block.bn2.weight)  # its bias starts at zero
    else:
        _pass_through(block.conv1, block.bn1)
        _pass_through(block.conv2, block.bn2)
    if isinstance(block.downsample, nn.Sequential):  # option C projects in every block
        _pass_through(block.downsample[0], block.downsample[1])
    return block.eval()


def _pass_through(conv: nn.Module, norm: nn.Module) -> None:
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.dirac_(conv.weight)
    # Fresh moving averages are 0 and 1, and normalising divides by sqrt(1 + eps).
    nn.init.constant_(norm.weight, math.sqrt(1 + norm.eps))
    nn.init.zeros_(norm.bias)


def stages(model: nn.Module) -> dict[str, nn.Sequential]:
    """The stages of basic blocks by their names. Raises UserError where there are none."""
    found = {
        name: child
        for name, child in model.named_children()
        if isinstance(child, nn.Sequential) and all(isinstance(b, BasicBlock) for b in child)
    }
    if not found:
        raise UserError(
            f"{type(model).__name__} has no basic blocks: give a CIFAR net, plain18, plain34, "
            "or a resnet18 or resnet34"
        )
    return found


def ends(model: nn.Module, blocks: int) -> Places:
    """Places for `blocks` new blocks behind the last one of each stage, for `deepen`."""
    return {name: [len(stage) - 1] * blocks for name, stage in stages(model).items()}


def deepen(model: nn.Module, behind: Places, seed: int = 0) -> nn.Module:
    """A deeper copy of `model`, in eval mode, that computes the same.

    An identity block is put behind each of the blocks that `behind` names; one named k times is
    followed by k. With as many in every stage (`ends`), the copy's parameters are those of the
    named net of that depth. Raises UserError for a stage or block the model does not have, and
    for nets without basic blocks.
    """
    deeper = copy.deepcopy(model).eval()
    found = stages(deeper)
    shortcut = _shortcut(found)
    for name, places in behind.items():
        if name not in found:
            raise UserError(f"no stage '{name}': give some of {', '.join(found)}")
        old = list(found[name])
        wanted = Counter(places)
        absent = [place for place in wanted if not 0 <= place < len(old)]
        if absent:
            raise UserError(f"{name} has no block {absent[0]}: give 0 to {len(old) - 1}")
        new: list[nn.Module] = []
        for place, block in enumerate(old):
            new.append(block)
            new += [_like(block, shortcut, seed + len(new) + i) for i in range(wanted[place])]
        setattr(deeper, name, nn.Sequential(*new))
    return deeper


def _shortcut(found: Mapping[str, nn.Sequential]) -> Shortcut:
    """The option by which blocks pass on what keeps its shape; B does there what A does."""
    blocks = [block for stage in found.values() for block in stage]
    if not all(block.residual for block in blocks):
        return "none"
    # The first block of the first stage keeps the shape in every net, and C alone projects there.
    return "A" if blocks[0].downsample is None else "C"


def _like(block: nn.Module, shortcut: Shortcut, seed: int) -> BasicBlock:
    """An identity block for the output of `block`, where it lies and in its precision."""
    assert isinstance(block, BasicBlock)
    weight = block.conv2.weight
    return identity_block(len(weight), shortcut, seed, weight.dtype).to(weight.device)


def measure(subject: Subject) -> tuple[Settings, Values]:
    """Training errors in % of the network, deepened by identities to each greater depth.

    And how far the deepened ones' logits are from its own, at most. Raises UserError for a
    network that is deeper than any of DEPTHS.
    """
    network, deepest = subject.record.spec.network, DEPTHS[-1]
    own = cast(CifarName, parse(network)).depth
    if own > deepest:
        raise UserError(
            f"{network} is deeper than the {deepest} layers that nets are deepened to: "
            "study a shallower one"
        )
    batches = subject.train_batches(IMAGES)
    labels = torch.cat([y for _, y in batches])
    depths = [own, *(depth for depth in DEPTHS if depth > own)]
    errors, differences = [], []
    before = _logits(subject.trained, batches)
    for depth in depths:
        blocks = (depth - own) // 6  # a block has 2 layers, and there are 3 stages
        after = _logits(deepen(subject.trained, ends(subject.trained, blocks)), batches)
        errors.append(100.0 * (after.argmax(1) != labels).float().mean().item())
        differences.append((after - before).abs().max().item())
    settings: Settings = {
        "split": "train, not augmented",
        "images": len(labels),
        "bn": subject.bn,
        "depths": depths,
        "seed": 0,
    }
    values: Values = {
        "deepened_errors": errors,
        "identity_error": errors[-1],
        "logit_difference": max(differences),
    }
    return settings, values


@torch.no_grad()
def _logits(model: nn.Module, batches: Batches) -> Tensor:
    return torch.cat([model(x) for x, _ in batches])
