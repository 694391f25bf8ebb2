"""The measurement: contestants in turn, within every repeat, so that drift cancels."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.contestant import OURS, PEER, USUAL, SetUp, Task
from benchmarks.overheads import Overheads
from benchmarks.remote import NoMemory, Remote
from benchmarks.source import Source
from resnet_repro.train.device import Device

T = TypeVar("T")
Tell = Callable[[str], None]  # called as each part begins


@dataclass(frozen=True)
class Plan:
    """What is to be measured, and how long."""

    depths: tuple[int, ...]
    device: Device
    source: Source
    out: Path
    repeats: int
    seconds: float  # of one measurement, about
    steps: int | None = None  # of one measurement, instead
    workers: int = 2
    peer: Path | None = None

    @property
    def contestants(self) -> tuple[str, ...]:
        return (OURS, USUAL, *([PEER] if self.peer else []))

    @property
    def parts(self) -> int:
        """How often `tell` is called, unless a contestant drops out."""
        return len(self.depths) * (len(self.contestants) * (1 + self.repeats) + 1)


@dataclass(frozen=True)
class Measurement:
    """One contestant in one repeat."""

    network: str
    contestant: str
    repeat: int
    steps: int
    images: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds


@dataclass(frozen=True)
class Account:
    """What is measured once of a contestant; `note` says why when there is nothing."""

    network: str
    contestant: str
    set_up: SetUp | None = None
    memory_bytes: int | None = None
    nodes: int | None = None
    overheads: Overheads | None = None
    note: str = ""


def measure_all(plan: Plan, tell: Tell) -> tuple[list[Measurement], list[Account]]:
    """Measure every depth of the plan, one after another."""
    measurements: list[Measurement] = []
    accounts: list[Account] = []
    for depth in plan.depths:
        timed, settled = measure_network(plan, f"resnet{depth}", tell)
        measurements += timed
        accounts += settled
    return measurements, accounts


def measure_network(
    plan: Plan, network: str, tell: Tell
) -> tuple[list[Measurement], list[Account]]:
    """Measure one network: all contestants stand ready, and one at a time trains.

    The order is reversed in every second repeat. A contestant that doesn't fit into memory drops
    out and is accounted for as such.
    """
    with contextlib.ExitStack() as stack:
        field = _Field({}, {})
        setups = {}
        for name in plan.contestants:
            tell(f"{network}: {name}, set-up")
            field.remotes[name] = stack.enter_context(Remote(_task(plan, network, name)))
            # A given number of steps needs no calibration.
            setups[name] = field.ask(name, lambda r: r.set_up(0 if plan.steps else plan.seconds))
        steps = {name: _steps(plan, setup) for name, setup in setups.items()}
        timed = []
        for repeat in range(plan.repeats):
            order = plan.contestants if repeat % 2 == 0 else plan.contestants[::-1]
            for name in order:
                tell(f"{network}: {name}, repeat {repeat + 1} of {plan.repeats}")
                timed.append(_measure(field, network, name, repeat, steps[name]))
        memory = {name: field.ask(name, lambda r: r.memory()) for name in plan.contestants}
        nodes = field.ask(OURS, lambda r: r.nodes())
        tell(f"{network}: {OURS}, evaluation and checkpoint")
        overheads = field.ask(OURS, lambda r: r.overheads(plan.out))
    accounts = [
        Account(
            network,
            name,
            None if name in field.notes else setups[name],
            memory[name],
            nodes if name == OURS else None,
            overheads if name == OURS else None,
            field.notes.get(name, ""),
        )
        for name in plan.contestants
    ]
    return [m for m in timed if m is not None and m.contestant not in field.notes], accounts


def _task(plan: Plan, network: str, name: str) -> Task:
    return Task(
        name,
        network,
        plan.device,
        plan.source,
        plan.workers,
        plan.peer,
        multiprocessing.get_start_method(),
    )


@dataclass
class _Field:
    """The contestants that are left, and why the others are not."""

    remotes: dict[str, Remote]
    notes: dict[str, str]

    def ask(self, name: str, call: Callable[[Remote], T]) -> T | None:
        """What `call` gives; None when the contestant is out of memory, now or before."""
        if name not in self.remotes:
            return None
        try:
            return call(self.remotes[name])
        except NoMemory:
            self.notes[name] = "out of memory"
            self.remotes.pop(name).close()
            return None


def _steps(plan: Plan, setup: SetUp | None) -> int:
    """Steps of one measurement."""
    if plan.steps is not None or setup is None:
        return plan.steps or 1
    return max(1, math.ceil(plan.seconds / setup.step_seconds))


def _measure(field: _Field, network: str, name: str, repeat: int, steps: int) -> Measurement | None:
    timed = field.ask(name, lambda r: r.measure(steps))
    if timed is None:
        return None
    return Measurement(network, name, repeat, steps, timed.images, timed.seconds)
