"""What a notebook asks of its reader, and what it claims itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from resnet_repro.errors import UserError
from resnet_repro.models.blocks import BasicBlock, initialise

OPEN = "Open: put your answer in place of the ... and run this cell again."


def exercise(answer: object, right: object, hint: str, *, within: float = 1e-6) -> None:
    """Say whether an answer is right; `...` stands for one not given yet.

    right: the value itself, which a number may miss by `within`, or a function that says of an
    answer whether it is right. Raises AssertionError with the hint where it is not.
    """
    if answer is ...:
        print(OPEN)
        return
    is_right: Callable[[Any], bool]
    if callable(right):
        is_right = right
    elif isinstance(right, (int, float)):
        number = right
        is_right = lambda given: abs(given - number) <= within  # noqa: E731
    else:
        is_right = lambda given: given == right  # noqa: E731
    try:
        found = is_right(answer)
    except (TypeError, ValueError, LookupError, AttributeError, UserError):
        found = False  # a word for a number, a block that does not exist, ...
    if not found:
        raise AssertionError(f"not yet: {hint}")
    print("Right.")


def conclude(
    words: str, value: float, *, above: float | None = None, below: float | None = None
) -> None:
    """Say a conclusion: its number, and the bounds that it must keep.

    words: what the number is, with its unit. Raises AssertionError where a bound is not kept,
    and ValueError where none is given.
    """
    bounds = [f"more than {above:g}"] if above is not None else []
    bounds += [f"less than {below:g}"] if below is not None else []
    if not bounds:
        raise ValueError(f"{words}: give a bound")
    said = f"{words}: {value:.4g} ({', '.join(bounds)})"
    kept = (above is None or value > above) and (below is None or value < below)
    if not kept:
        raise AssertionError(f"does not hold: {said}")
    print(f"Holds: {said}")


def suite_block(in_channels: int, channels: int, stride: int = 1) -> nn.Module:
    """The suite's residual block with option A: (N, in_channels, S, S) -> (N, channels, S/stride,
    S/stride)."""
    return BasicBlock(in_channels, channels, stride, "A", nn.BatchNorm2d)


Block = Callable[[int, int, int], nn.Module]


@torch.no_grad()
def check_block(own: Block) -> Block:
    """Hold a block written by hand to the suite's, and return the one to go on with.

    own(in_channels, channels, stride) makes a module whose parameters come in the order conv1,
    bn1, conv2, bn2; both get the same weights and are shown the same images, in training and in
    eval mode. A block whose forward returns `...` is open yet: the suite's stands in for it.
    Raises AssertionError with the shape for which they differ.
    """
    for in_channels, channels, stride in ((8, 8, 1), (8, 16, 2)):
        mine, suites = (
            own(in_channels, channels, stride),
            suite_block(in_channels, channels, stride),
        )
        initialise(suites, "fan_out", 0)
        x = torch.randn(4, in_channels, 8, 8, generator=torch.Generator().manual_seed(0))
        where = f"{in_channels} channels to {channels}, stride {stride}"
        if mine.eval()(x) is ...:  # in training mode it would note statistics
            print("Open: complete the class and run both cells again. The suite's stands in.")
            return suite_block
        if [p.shape for p in mine.parameters()] != [p.shape for p in suites.parameters()]:
            raise AssertionError(f"not yet: {where}: its parameters have other shapes")
        for given, kept in zip(mine.parameters(), suites.parameters(), strict=True):
            given.copy_(kept)
        for training in (True, False):
            got, wanted = mine.train(training)(x), suites.train(training)(x)
            if got.shape != wanted.shape:
                raise AssertionError(
                    f"not yet: {where}: {tuple(got.shape)} comes out, not {tuple(wanted.shape)}"
                )
            if not torch.allclose(got, wanted, atol=1e-5):
                raise AssertionError(f"not yet: {where}: the shape is right, the values are not")
    print("Right: your block computes what the suite's does, at both shapes and in both modes.")
    return own
