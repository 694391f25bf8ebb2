"""Runs in this process or in processes of their own: what they report, how they are stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resnet_repro.errors import UserError
from resnet_repro.records.lease import is_held
from resnet_repro.records.schema import Execution, RunId

if TYPE_CHECKING:
    from resnet_repro.runtime.distributed import World
    from resnet_repro.train.job import Job
    from resnet_repro.train.sources import Data


GRACE = 300.0  # seconds to save and leave: a test of all images may come first
LOOK = 5.0  # seconds until a run that another process has is looked at again


@dataclass(frozen=True)
class Event:
    """Something a run reports: kind is `step`, `row`, `say` or `end`; `failed` inside here."""

    run: RunId
    kind: str
    value: Any


Emit = Callable[[Event], None]


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn the first signal to stop into a flag; a second SIGINT interrupts at once.

    Those are SIGINT, SIGTERM, SIGHUP, and what schedulers send ahead of the end, SIGUSR1 and
    SIGUSR2. One of the last three that is ignored, as under nohup, stays so.
    """
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    heeded = [signal.SIGINT, signal.SIGTERM]
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        number = getattr(signal, name, None)  # Windows has none of them
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            heeded.append(number)
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _train_one(
    job: Job,
    data: Data,
    emit: Emit,
    stop: Callable[[], bool],
    trackers: Sequence[str],
    world: World,
) -> str:
    """Train one run and report it; returns how it ended."""
    from resnet_repro.records.lease import Busy
    from resnet_repro.train.loggers import mirrored
    from resnet_repro.train.loop import Stopped, Watch, train

    def send(kind: str) -> Callable[[Any], None]:
        return lambda value: emit(Event(job.run, kind, value))

    def begin(execution: Execution) -> None:
        if former := execution.former_decoder:
            send("say")(
                f"{job.run}: images are read by {execution.decoder}, "
                f"until iteration {execution.resumed_at[-1]} it was {former}"
            )

    end: str
    watch = Watch(begin, step=send("step"), row=send("row"), say=send("say"), stop=stop)
    try:
        with mirrored(watch, job, trackers) as watching:
            end = train(job, data, watching, world).status
    except Stopped as note:
        end = "stopped"
        send("say")(str(note))
    except Busy as note:
        end = "busy"
        send("say")(f"{job.run}: {note}")
    send("end")(end)
    return end


Stop = Callable[[], bool]
Launch = Callable[[list["Job"]], dict[RunId, str]]  # trains jobs; how each of them ended


def in_turn(
    jobs: list[Job],
    data: dict[str, Data],
    emit: Emit,
    trackers: Sequence[str],
    world: World,
    stop: Stop,
    go_on: bool = False,
) -> dict[RunId, str]:
    """One run after another, in this process and those of its world; how each ended.

    go_on: whether a UserError of one run is said and the next begun; raised otherwise. A process
    whose starter is gone, torchrun's, stops as when it is asked to.
    """
    ends = {}

    def ended() -> bool:
        return stop() or world.orphaned

    for job in jobs:
        try:
            ends[job.run] = _train_one(job, data[job.spec.dataset], emit, ended, trackers, world)
        except UserError as error:
            if not go_on:
                raise
            ends[job.run] = "failed"
            emit(Event(job.run, "say", f"{job.run}: {error}"))
            emit(Event(job.run, "end", "failed"))
        if any(world.any(ended())):
            break
    return ends


def shared(
    jobs: list[Job], launch: Launch, world: World, stop: Stop, look: float = LOOK
) -> dict[RunId, str]:
    """Train the jobs that no other process has, until none is left; how each ended.

    What another has is passed over and looked at again every `look` seconds, in case that process
    gave it up, was killed or fell silent. A run that failed here is not tried here again.
    """
    ends: dict[RunId, str] = {}
    left = jobs

    def free() -> set[RunId]:
        return {job.run for job in left if not is_held(job.folder)}

    while left and not any(world.any(stop())):
        ours = world.on_main_process(free)
        tried = launch([job for job in left if job.run in ours])
        ends |= tried
        left = [job for job in left if tried.get(job.run, "busy") == "busy"]
        due = time.monotonic() + (look if left and "done" not in tried.values() else 0)
        while time.monotonic() < due and not stop():
            time.sleep(0.1)
    return ends


def _child(job: Job, data: Data, events: Any, trackers: Sequence[str]) -> None:
    from resnet_repro.runtime.distributed import SINGLE_PROCESS

    parent = multiprocessing.parent_process()
    assert parent is not None

    def orphaned() -> bool:
        return not parent.is_alive()

    with stop_signals() as asked:
        try:
            _train_one(
                job, data, events.put, lambda: asked() or orphaned(), trackers, SINGLE_PROCESS
            )
        except UserError as error:
            events.put(Event(job.run, "failed", str(error)))
    if orphaned():
        events.cancel_join_thread()  # nobody reads what is left


def side_by_side(
    jobs: list[Job],
    data: dict[str, Data],
    emit: Emit,
    trackers: Sequence[str],
    at_once: int,
    asked: Stop,
    go_on: bool = False,
) -> dict[RunId, str]:
    """Up to `at_once` runs at a time, a process each, the processor's threads shared.

    Asked to stop, they are woken (one may have been stopped by SIGSTOP), save and leave; one that
    has not left after GRACE seconds is killed, and goes on from its last checkpoint another time.
    How each ended. Raises UserError when a run met one, the others being saved and stopped; with
    `go_on` it is said, and the others go on.
    """
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    waiting = [_with_threads(job, max(1, job.device.threads // at_once)) for job in jobs]
    running: dict[RunId, Any] = {}
    ends: dict[RunId, str] = {}
    failures: list[str] = []

    def start(job: Job) -> None:
        arguments = (job, data[job.spec.dataset], events, trackers)
        running[job.run] = context.Process(target=_child, args=arguments)
        # Until it has its own handler the child ignores a terminal's Ctrl-C, which we pass on.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        running[job.run].start()
        signal.signal(signal.SIGINT, before)

    def take_all(timeout: float) -> None:
        """Handle what has been reported, waiting up to `timeout` seconds for the first."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = events.get(timeout=timeout)
                timeout = 0.0
                if event.kind == "failed":
                    ends[event.run] = "failed"
                    if not go_on:
                        failures.append(event.value)
                        continue
                    event = Event(event.run, "say", f"{event.run}: {event.value}")
                if event.kind == "end":
                    ends[event.run] = event.value
                emit(event)

    told: float | None = None
    while running or (waiting and not asked() and not failures):
        stopping = asked() or bool(failures)
        while waiting and len(running) < at_once and not stopping:
            start(waiting.pop(0))
        if stopping and told is None:
            told = time.monotonic()
            for process in running.values():
                process.terminate()  # SIGTERM: the child saves and leaves
                if process.is_alive() and hasattr(signal, "SIGCONT"):
                    os.kill(process.pid, signal.SIGCONT)
        if told is not None and time.monotonic() - told > GRACE:
            for process in running.values():
                process.kill()
        take_all(timeout=0.2)
        for run in [run for run, process in running.items() if not process.is_alive()]:
            running.pop(run).join()
            take_all(timeout=0.0)  # what it reported last
            ends.setdefault(run, "stopped" if stopping else "failed")
    if failures:
        raise UserError(failures[0])
    return ends


def _with_threads(job: Job, threads: int) -> Job:
    return dataclasses.replace(job, device=dataclasses.replace(job.device, threads=threads))
