"""The compiler: the repeated block, room for its shapes, and processes that share its work."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
from torch import nn

from resnet_repro.models.blocks import BasicBlock, Bottleneck

MOST_SHAPES = 64  # compiled forms of a block before there is an error


def compile_blocks(model: nn.Module, backend: str | Callable[..., object] = "inductor") -> None:
    """Compile the repeated block, once for each of its shapes however deep the network is.

    And the first layer's normalisation, which would else keep its map twice, in float32.
    """
    for name, module in model.named_modules():
        if isinstance(module, BasicBlock | Bottleneck) or name == "bn1":
            module.compile(fullgraph=True, dynamic=False, backend=backend)


@contextlib.contextmanager
def compiler() -> Iterator[None]:
    """Room for every shape of the block, and an error instead of slow code beyond it.

    Dynamo's own limit is eight, after which it goes back to uncompiled code without a word; a
    block has up to five shapes, in training and in evaluation. They are counted over all networks
    of a process, so they are forgotten at the end.
    """
    import torch._dynamo  # slow to import

    try:
        with torch._dynamo.config.patch(
            recompile_limit=MOST_SHAPES, fail_on_recompile_limit_hit=True
        ):
            yield
    finally:
        torch._dynamo.reset()


@contextlib.contextmanager
def compiling(folder: Path, stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """For what compiles: of the processes that share `folder` one does so first.

    Those that come meanwhile wait until it is through, or until `stop`, and then find its code in
    the compiler's own cache.
    """
    lock = filelock.FileLock(folder / "compile.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        while not stop():
            with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=1):
                break
    try:
        yield
    finally:
        lock.release()
