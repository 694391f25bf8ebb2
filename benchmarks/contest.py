"""Contestants by turns in one run, each in a process of its own with its own memory and set-up."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.loops import OurLoop, Source, UsualLoop, build_peer
from resnet_repro.models import build
from resnet_repro.runtime.device import Device, computing

OURS, USUAL, PEER = "ours", "usual", "peer"
CALIBRATION = 0.2  # part of a measurement's length that is spent on finding the time of a step

Tell = Callable[[str], None]  # called as each part begins


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how long."""

    depths: tuple[int, ...]
    device: Device
    source: Source
    repeats: int
    seconds: float  # of one measurement, about
    workers: int  # of the usual loop's DataLoader
    peer: Path | None = None

    @property
    def contestants(self) -> tuple[str, ...]:
        return (OURS, USUAL, *([PEER] if self.peer else []))


@dataclass(frozen=True)
class Row:
    """One contestant on one network; `note` says why when nothing was measured."""

    network: str
    contestant: str
    rates: tuple[float, ...] = ()  # images per second, repeat by repeat
    set_up_seconds: float | None = None  # to the end of the first step, less a step
    peak_memory_bytes: int | None = None
    note: str = ""


def measure(plan: Plan, tell: Tell) -> list[Row]:
    """Every network of the plan, one after another: a row for each of its contestants."""
    return [row for depth in plan.depths for row in _network(plan, f"resnet{depth}", tell)]


def _network(plan: Plan, network: str, tell: Tell) -> list[Row]:
    """All contestants stand ready, and one at a time trains.

    The order is reversed in every second repeat, so that drift cancels. A contestant that does
    not fit into memory drops out.
    """
    pools: dict[str, ProcessPoolExecutor] = {}
    notes: dict[str, str] = {}
    rates: dict[str, list[float]] = {name: [] for name in plan.contestants}

    def ask(name: str, function: Callable[..., Any], *arguments: object) -> Any:
        if name in notes:
            return None
        try:
            return pools[name].submit(function, *arguments).result()
        except (MemoryError, torch.OutOfMemoryError):
            notes[name] = "out of memory"
            pools[name].shutdown()  # its memory is the others'
            return None

    with contextlib.ExitStack() as stack:
        set_up: dict[str, Any] = {}
        for name in plan.contestants:
            tell(f"{network}: {name}, set-up")
            cache = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            # Not forked: this process has threads, and perhaps a CUDA context.
            spawn, method = multiprocessing.get_context("spawn"), multiprocessing.get_start_method()
            pool = ProcessPoolExecutor(1, spawn, _begin, (cache, plan.device.threads, method))
            pools[name] = stack.enter_context(pool)
            set_up[name] = ask(name, _set_up, plan, network, name)
        for repeat in range(plan.repeats):
            for name in plan.contestants[:: 1 if repeat % 2 == 0 else -1]:
                if name not in notes:
                    tell(f"{network}: {name}, repeat {repeat + 1} of {plan.repeats}")
                    rates[name].append(ask(name, _rate, set_up[name][1]))
        memory = {name: ask(name, _peak_memory) for name in plan.contestants}
    return [
        Row(network, name, note=notes[name])
        if name in notes
        else Row(network, name, tuple(rates[name]), set_up[name][0], memory[name])
        for name in plan.contestants
    ]


# What follows runs in the contestant's process, which holds one loop.

_loop: OurLoop | UsualLoop | None = None
_peak_before: int | None = None
_computing = contextlib.ExitStack()


def _begin(cache: str, threads: int, start_method: str) -> None:
    """Make this process a plain script's.

    cache: for compiled code, its own, so that set-up is that of a first run. start_method: of the
    DataLoader's workers; left alone they would start as this process was, slowly.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends without a word; the parent has the last
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    torch.set_num_threads(threads)
    multiprocessing.set_start_method(start_method, force=True)


def _set_up(plan: Plan, network: str, contestant: str) -> tuple[float, int]:
    """Build the loop: seconds to the end of its first step, less a step; steps to measure."""
    global _loop, _peak_before
    data, device = plan.source.load(), plan.device
    if contestant == OURS:
        _computing.enter_context(computing(device))
    with contextlib.suppress(OSError):  # the peak resident memory starts anew
        Path("/proc/self/clear_refs").write_text("5")
    _peak_before = _peak_resident()
    start = time.perf_counter()
    if contestant == OURS:
        _loop = OurLoop(network, data, device)
    else:
        net = build_peer(plan.peer, network) if contestant == PEER and plan.peer else build(network)
        _loop = UsualLoop(net, data.train, device.torch, plan.workers)
    _loop.run(1)
    first = time.perf_counter() - start
    _loop.settle()
    steps = 1
    while (seconds := _timed(_loop, steps)[1]) < CALIBRATION * plan.seconds:
        steps *= 2
    step = seconds / steps
    return max(0.0, first - step), max(1, math.ceil(plan.seconds / step))


def _rate(steps: int) -> float:
    """Images per second over `steps` steps."""
    assert _loop is not None, "_set_up comes first"
    _loop.settle()
    _loop.run(1)  # others have used the caches meanwhile
    images, seconds = _timed(_loop, steps)
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # room for the others
    return images / seconds


def _timed(loop: OurLoop | UsualLoop, steps: int) -> tuple[int, float]:
    start = time.perf_counter()
    images = loop.run(steps)
    return images, time.perf_counter() - start


def _peak_memory() -> int | None:
    """Bytes: on CUDA allocated at most, else growth of the peak resident memory by training."""
    if torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    peak = _peak_resident()
    return None if peak is None or _peak_before is None else peak - _peak_before


def _peak_resident() -> int | None:
    """Bytes this process has had resident at most; None where Linux does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
