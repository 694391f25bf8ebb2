"""What the machine can do: matrix rate, bandwidth, and the time of a kernel in a graph."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.floor import Rates
from resnet_repro.train.device import Device, computing

TRIES = 5
NODES = 2_000  # in the captured graph


def wait(device: torch.device) -> None:
    """Until the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def best_seconds(call: Callable[[], object], device: torch.device, least: float) -> float:
    """Seconds of one call: the best of a few tries of at least `least` seconds each.

    The best, because it is to say what the machine can do.
    """

    def timed(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        wait(device)
        return time.perf_counter() - start

    timed(1)  # first calls allocate and choose algorithms
    calls = 1
    while (seconds := timed(calls)) < least:
        calls *= 2
    return min([seconds, *(timed(calls) for _ in range(TRIES - 1))]) / calls


def measure_rates(
    device: Device,
    *,
    size: int | None = None,
    megabytes: int | None = None,
    least: float = 0.2,
) -> Rates:
    """Multiply-adds, bytes and graph nodes a second, in the precision of `device`.

    size: rows of the square matrices; megabytes: of the array that is copied, many times any
    cache. A copy counts as its bytes read and written.
    """
    where = device.torch
    accelerator = device.kind != "cpu"
    size = size or (8_192 if accelerator else 2_048)
    megabytes = megabytes or (1_024 if accelerator else 256)
    number = torch.bfloat16 if device.precision == "bf16" else torch.float32
    with computing(device), torch.no_grad():
        left, right = (torch.randn(size, size, device=where).to(number) for _ in range(2))
        product = torch.empty_like(left)
        matrix = best_seconds(lambda: torch.mm(left, right, out=product), where, least)
        origin = torch.ones(megabytes << 20, dtype=torch.uint8, device=where)
        copy = torch.ones_like(origin)
        copied = best_seconds(lambda: copy.copy_(origin), where, least)
        node = _node_seconds(where, least) if device.kind == "cuda" else None
    return Rates(size**3 / matrix, 2 * origin.numel() / copied, node)


def _node_seconds(device: torch.device, least: float) -> float:
    """Seconds of one node of a captured CUDA graph of kernels too small to take any themselves."""
    x = torch.zeros(1, device=device)
    x.add_(1)  # loads the kernel, which a capture must not do
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(NODES):
            x.add_(1)
    return best_seconds(graph.replay, device, least) / NODES
