"""A contestant at one depth, in a process of its own, so that its memory and set-up are its own."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import torch

from benchmarks.overheads import Overheads, measure_overheads
from benchmarks.peer import build_peer
from benchmarks.source import Source
from benchmarks.usual import UsualLoop
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.models import build
from resnet_repro.train.device import Device, computing
from resnet_repro.train.recipe import PAPER
from resnet_repro.train.trainer import Trainer

OURS, USUAL, PEER = "ours", "usual", "peer"
CALIBRATION = 0.2  # part of a measurement's length that is spent on finding the time of a step


@dataclass(frozen=True)
class Task:
    """Who trains what, on which images."""

    contestant: str  # OURS, USUAL or PEER
    network: str
    device: Device
    source: Source
    workers: int  # of the DataLoader; ours has none
    peer: Path | None
    # Of the workers: a plain script's. Left alone they would start as this process was, slowly.
    start_method: str


@dataclass(frozen=True)
class SetUp:
    """Seconds from construction to the first finished step, and of a later step, roughly."""

    first_seconds: float
    step_seconds: float
    threads: int  # that torch computes with


@dataclass(frozen=True)
class Timed:
    """What a measurement counted."""

    images: int
    seconds: float


class Loop(Protocol):
    """A training loop that can be run a few steps at a time."""

    def run(self, steps: int) -> int:
        """Train `steps` steps, wait for the device, and return the images seen."""

    def settle(self) -> None:
        """Forget a head start won while another contestant was measured."""


class OurLoop:
    """The suite's trainer under the paper's recipe.

    Without the warm-up of nets of 110 layers and more, which is about 1 % of their steps and
    would never end on noise.
    """

    def __init__(self, network: str, data: Dataset, device: Device) -> None:
        self.trainer = Trainer(network, data, PAPER, 0, device)
        self.iteration = 0

    def run(self, steps: int) -> int:
        for _ in range(steps):
            self.trainer.step(self.iteration)
            self.iteration += 1
        self.trainer.take_interval(steps)  # waits for the device
        return steps * PAPER.batch_size

    def settle(self) -> None:
        """Nothing is prepared while it stands still."""


class Contestant:
    """What the process does when it is told; every method is a command of `serve`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.cuda = task.device.kind == "cuda"
        self.data = task.source.load()
        self.loop: Loop | None = None
        self.before = 0

    def set_up(self, seconds: float) -> SetUp:
        """Build the loop, take its first step, and find out how long a step takes.

        seconds: of a measurement to come.
        """
        self.before = self._reset_peak()
        start = time.perf_counter()
        self.loop = self._make()
        self.loop.run(1)
        first = time.perf_counter() - start
        steps = 1
        while (timed := self.measure(steps)).seconds < CALIBRATION * seconds:
            steps *= 2
        return SetUp(first, timed.seconds / steps, torch.get_num_threads())

    def measure(self, steps: int) -> Timed:
        """Train `steps` steps."""
        loop = self._ready()
        loop.settle()
        start = time.perf_counter()
        images = loop.run(steps)
        seconds = time.perf_counter() - start
        if self.cuda:
            torch.cuda.empty_cache()  # room for the others
        return Timed(images, seconds)

    def memory(self) -> int:
        """Peak memory in bytes since before `set_up`: see `peak_memory_words`."""
        if self.cuda:
            return int(torch.cuda.max_memory_allocated())
        return _peak_resident() - self.before

    def nodes(self) -> int | None:
        """Kernels and copies of a step, as the profiler sees them; None without CUDA.

        The difference between runs of two steps and of one, so that what ends a run drops out.
        """
        if not self.cuda:
            return None
        loop = self._ready()
        return (_device_events(loop, 2) - _device_events(loop, 1)) or None

    def overheads(self, folder: Path) -> Overheads:
        """Time a row and a checkpoint of a run; the loop is given up for it."""
        self.loop = None
        task = self.task
        return measure_overheads(task.network, self.data, PAPER, task.device, folder)

    def _ready(self) -> Loop:
        assert self.loop is not None, "set_up comes first"
        return self.loop

    def _make(self) -> Loop:
        task = self.task
        if task.contestant == OURS:
            return OurLoop(task.network, self.data, task.device)
        if task.contestant == PEER:
            assert task.peer is not None
            model = build_peer(task.peer, task.network)
        else:
            model = build(task.network)
        where = task.device.torch
        return UsualLoop(model, self.data.train, where, task.workers, task.start_method)

    def _reset_peak(self) -> int:
        """Start counting peak memory anew; returns the bytes resident now."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(OSError):  # Linux; elsewhere the peak so far stays the base
            Path("/proc/self/clear_refs").write_text("5")
        return _peak_resident()


def peak_memory_words(device: str) -> str:
    """What the memory column holds, for the table."""
    if device == "cuda":
        return "peak memory allocated on the GPU (torch.cuda.max_memory_allocated)"
    return (
        "growth of the training process's peak resident memory, the data set as loaded and "
        "DataLoader workers not counted"
    )


def _peak_resident() -> int:
    """Bytes this process has had resident at most."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _device_events(loop: Loop, steps: int) -> int:
    from torch.autograd import DeviceType  # type: ignore[attr-defined, unused-ignore]
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        loop.run(steps)
    return sum(event.device_type == DeviceType.CUDA for event in profiler.events() or ())


def serve(task: Task, connection: Connection) -> None:
    """Obey `(command, arguments)` until None comes, answering `(kind, value)` to each.

    Compiled code goes to a cache of this process's own, so that set-up times are those of a
    first run.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError))
        cache = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        if task.contestant == OURS:
            stack.enter_context(computing(task.device))
        contestant: Contestant | None = None
        while (order := connection.recv()) is not None:
            command, arguments = order
            if contestant is None:
                made = answer(lambda: Contestant(task))
                if made[0] != "value":
                    connection.send(made)
                    continue
                contestant = made[1]  # type: ignore[assignment]
            method: Callable[..., object] = getattr(contestant, command)
            connection.send(answer(lambda call=method, given=arguments: call(*given)))  # type: ignore[misc]


def answer(call: Callable[[], object]) -> tuple[str, object]:
    """What `call` returns as ("value", it), or which kind of error it raised, and its text."""
    try:
        return "value", call()
    except UserError as error:
        return "user", str(error)
    except (torch.OutOfMemoryError, MemoryError) as error:
        return "memory", str(error)
    except Exception:
        return "defect", traceback.format_exc()
