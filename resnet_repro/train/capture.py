"""Work on a CUDA device recorded once and replayed without the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

WARMUPS = 3  # calls before recording: compilation, autotuning and lazy buffers happen in them


def captured(work: Callable[[], None], state: Iterable[Tensor]) -> Callable[[], None]:
    """Record `work` as a CUDA graph; returns what replays it.

    `work` must read and write the same tensors at each call and never wait for the device.
    `state` names every tensor that it changes and that outlives a call: recording needs a few
    ordinary calls first, and after them the state is put back as it was.
    """
    live = list(state)
    before = [tensor.clone() for tensor in live]
    # As CUDA asks for: not on the stream whose work may still be under way.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARMUPS):
            work()
    torch.cuda.current_stream().wait_stream(side)
    with torch.no_grad():
        for tensor, value in zip(live, before, strict=True):
            tensor.copy_(value)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay
