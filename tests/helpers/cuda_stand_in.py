"""CUDA's parts in a step, replaced for machines without a device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

Call = tuple[Any, tuple[Any, ...], dict[str, Any], Any]


class Graph(TorchDispatchMode):
    """Records operations on the CPU and replays them on the tensors that they were given.

    As with CUDA, recording leaves every tensor as it was, and a replay knows of Python's values
    what they were then. An operation named in `forbidden` fails.
    """

    def __init__(self, forbidden: str = "") -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.calls: list[Call] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # by the memory they lie in
        self.made: set[int] = set()
        self.forbidden = forbidden

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if self.forbidden and self.forbidden in str(func):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        kwargs = kwargs or {}
        for tensor in tensors((args, kwargs)):
            place = memory(tensor)
            if place not in self.made and place not in self.before:
                whole = tensor.detach().as_strided(
                    (tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0
                )
                self.before[place] = (whole, whole.clone())
        given = {memory(tensor) for tensor in tensors((args, kwargs))}
        out = func(*args, **kwargs)
        self.made |= {memory(t) for t in tensors(out)} - given - set(self.before)
        # Others of the same memory, as shapes may be changed in place later.
        self.calls.append((func, *tree_map_only(Tensor, torch.detach, (args, kwargs, out))))
        return out

    def put_back(self) -> None:
        for whole, value in self.before.values():
            whole.copy_(value)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self.calls:
            given = {memory(tensor) for tensor in tensors((args, kwargs))}
            again = func(*args, **kwargs)
            for old, new in zip(tensors(out), tensors(again), strict=True):
                if memory(old) not in given:  # else a view, or changed in place
                    old.copy_(new)


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class _Stream:
    def wait_stream(self, other: object) -> None:
        """Nothing runs beside anything here."""


@dataclass
class StandIn:
    """What has been recorded; `forbidden` is handed to the next graph."""

    graphs: list[Graph] = field(default_factory=list)
    forbidden: str = ""


def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Let `make_cuda_graph` work on the CPU."""
    made = StandIn()

    def new() -> Graph:
        made.graphs.append(Graph(made.forbidden))
        return made.graphs[-1]

    @contextlib.contextmanager
    def recording(graph: Graph) -> Iterator[None]:
        try:
            with graph:
                yield
        except RuntimeError as error:
            raise RuntimeError("recording was invalidated") from error
        finally:
            graph.put_back()

    @contextlib.contextmanager
    def on(stream: object) -> Iterator[None]:
        yield

    for name, value in {
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": on,
        "CUDAGraph": new,
        "graph": recording,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return made


class LaggingDevice:
    """A clock, and a device that needs `seconds` for a step of which the host knows nothing.

    The host waits for it only where it asks for a value, synchronises, or waits for an event.
    """

    def __init__(self, seconds: float, launch: float = 0.001) -> None:
        self.now, self.until = 1000.0, 0.0
        self.seconds, self.launch = seconds, launch
        self.most_queued = 0

    def monotonic(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += self.launch
        self.until = max(self.until, self.now) + self.seconds
        self.most_queued = max(self.most_queued, self.queued)

    @property
    def queued(self) -> int:
        return round(max(0.0, self.until - self.now) / self.seconds)

    def wait(self) -> None:
        self.now = max(self.now, self.until)

    def event(self, blocking: bool = False) -> _Event:  # noqa: ARG002
        return _Event(self)

    def waiting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, which needs values from the device."""

        def waits(*args: Any, **kwargs: Any) -> Any:
            self.wait()
            return call(*args, **kwargs)

        return waits


class _Event:
    def __init__(self, device: LaggingDevice) -> None:
        self.device, self.at = device, 0.0

    def record(self) -> None:
        self.at = self.device.until

    def synchronize(self) -> None:
        self.device.now = max(self.device.now, self.at)
