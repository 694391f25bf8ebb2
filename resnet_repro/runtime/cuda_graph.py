"""Work on a CUDA device recorded once and replayed without the host, and how far that may run
ahead of the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from resnet_repro.errors import UserError

WARMUPS = 3  # calls before recording: compilation, autotuning and lazy buffers happen in them
MARK_EVERY = 8  # steps; twice as many may be queued


def make_cuda_graph(work: Callable[[], None], state: Iterable[Tensor]) -> Callable[[], None]:
    """Record `work` as a CUDA graph; returns what replays it.

    `work` must read and write the same tensors at each call and never wait for the device.
    `state` names every tensor that it changes and that outlives a call: recording needs a few
    ordinary calls first, and after them, or when one fails, the state is put back as it was.
    Raises UserError when the work cannot be recorded.
    """
    live = list(state)
    before = [tensor.clone() for tensor in live]
    # As CUDA asks for: not on the stream whose work may still be under way.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(side):
            for _ in range(WARMUPS):
                work()
    finally:
        torch.cuda.current_stream().wait_stream(side)
        with torch.no_grad():
            for tensor, value in zip(live, before, strict=True):
                tensor.copy_(value)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            work()
    except RuntimeError as error:
        # Ending a recording that failed fails, too, and hides why.
        why = str(error.__context__ or error).strip().partition("\n")[0]
        raise UserError(
            f"the step cannot be recorded as a CUDA graph ({why}): give --graph off"
        ) from error
    return graph.replay


class RunAhead:
    """Keeps the host at most 2 `MARK_EVERY` steps ahead of a CUDA device.

    A step costs the host far less than the device, and nothing in it waits: without a bound
    thousands are queued, and a request to stop waits for all of them.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._mark: torch.cuda.Event | None = None

    def stepped(self) -> None:
        """Call it after each step. Waits, while as many steps are queued behind the last mark."""
        self.steps += 1
        if self.steps % MARK_EVERY:
            return
        last, self._mark = self._mark, torch.cuda.Event(blocking=True)
        self._mark.record()
        if last is not None:
            last.synchronize()
