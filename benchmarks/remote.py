"""A contestant's process, as seen from the process that measures."""

from __future__ import annotations

import contextlib
import multiprocessing
from pathlib import Path
from types import TracebackType
from typing import cast

from benchmarks.contestant import SetUp, Task, Timed, serve
from benchmarks.overheads import Overheads
from resnet_repro.errors import UserError

PATIENCE = 10.0  # seconds that a process is given to end by itself


class NoMemory(Exception):
    """The contestant does not fit into memory."""


class Remote:
    """Starts the process; closes it at the end of a `with` block."""

    def __init__(self, task: Task) -> None:
        # Not forked from here: this process has threads, and perhaps a CUDA context.
        # The server imports torch once, and its children start at once.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch", "benchmarks.contestant"])
        self.task = task
        self.connection, other = context.Pipe()
        # Not a daemon: those may not start the DataLoader's workers.
        self.process = context.Process(target=serve, args=(task, other), daemon=False)
        self.process.start()
        other.close()

    def set_up(self, seconds: float) -> SetUp:
        """As Contestant.set_up; all these raise NoMemory, and UserError for the user's own."""
        return cast(SetUp, self._ask("set_up", seconds))

    def measure(self, steps: int) -> Timed:
        return cast(Timed, self._ask("measure", steps))

    def memory(self) -> int:
        return cast(int, self._ask("memory"))

    def nodes(self) -> int | None:
        return cast("int | None", self._ask("nodes"))

    def overheads(self, folder: Path) -> Overheads:
        return cast(Overheads, self._ask("overheads", folder))

    def _ask(self, command: str, *arguments: object) -> object:
        try:
            self.connection.send((command, arguments))
            kind, value = self.connection.recv()
        except (EOFError, ConnectionError):
            raise RuntimeError(
                f"the process of {self.task.contestant} ended at {command}"
            ) from None
        if kind == "user":
            raise UserError(value)
        if kind == "memory":
            raise NoMemory(value)
        if kind == "defect":
            raise RuntimeError(f"{self.task.contestant}, {self.task.network}:\n{value}")
        return value

    def close(self) -> None:
        """Let the process end, or end it."""
        with contextlib.suppress(OSError):  # it has ended
            self.connection.send(None)
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(PATIENCE)

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
