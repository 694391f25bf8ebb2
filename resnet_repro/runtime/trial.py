"""Which way of computing is the fastest on this CPU, found by trying each on a residual block.

Instruction sets do not tell: on some processors bf16 products cost twice what float32's do.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import torch

from resnet_repro.kernels import use_winograd
from resnet_repro.models.batch_norm import GhostBatchNorm2d, ghost_layers
from resnet_repro.models.blocks import BasicBlock

Way = tuple[str, bool]  # the precision, fp32 or bf16, and whether with our kernels

# What a later way may take of an earlier one's time to be chosen instead: more than a trial is
# off by, and what leaving float32 should be worth.
MARGIN = 0.9
IMAGES, CHANNELS, SIDE = 32, 16, 32  # a CIFAR net's first stage, which takes the most time
REPEATS = 5


@functools.cache
def fastest(ways: tuple[Way, ...], threads: int) -> Way:
    """The first of `ways`, or a later one that takes MARGIN of its time at most, and so on.

    Tried once a process, in a few tenths of a second; a single way is not tried.
    """
    best, *others = ways
    if not others:
        return best
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        seconds = _times({way: _step(*way) for way in ways})
    finally:
        torch.set_num_threads(before)
    for way in others:
        if seconds[way] <= MARGIN * seconds[best]:
            best = way
    return best


def _times(steps: dict[Way, Callable[[], None]]) -> dict[Way, float]:
    """The shortest time of each in seconds. They take turns, and the first turn warms up."""
    found: dict[Way, list[float]] = {way: [] for way in steps}
    for _ in range(REPEATS + 1):
        for way, step in steps.items():
            start = time.perf_counter()
            step()
            found[way].append(time.perf_counter() - start)
    return {way: min(times[1:]) for way, times in found.items()}


def _step(precision: str, kernels: bool) -> Callable[[], None]:
    """A pass through the block and back."""
    with torch.random.fork_rng(devices=[]):  # the layers start at random
        block = BasicBlock(
            CHANNELS, CHANNELS, 1, "A", lambda channels: GhostBatchNorm2d(channels, IMAGES)
        )
    block.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
    if kernels:
        use_winograd(block)
    for layer in ghost_layers(block):
        layer.use_kernel = kernels
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x = torch.ones(IMAGES, SIDE, SIDE, CHANNELS, dtype=dtype).permute(0, 3, 1, 2)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, precision == "bf16", cache_enabled=False):
            out = block(x.requires_grad_())
        out.backward(torch.ones_like(out))

    return step
