"""File operations below a folder, counted, and any of them made to fail."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

Fault = Literal["kill", "half", "EIO", "ENOSPC", "EDQUOT", "EROFS"]
# kill: the process is gone before the operation; nothing it does afterwards happens. half: the
# same, half of a write being done. EIO: this one fails. ENOSPC, EDQUOT: from now on nothing can be
# made. EROFS: nor removed.
FAULTS: tuple[Fault, ...] = ("kill", "half", "EIO", "ENOSPC", "EDQUOT", "EROFS")
_LASTING = ("kill", "half", "EROFS")
# Of `os`, what changes a folder, by how many of the first arguments are paths.
_CHANGES = {
    **dict.fromkeys(("mkdir", "rmdir", "unlink", "remove", "chmod", "truncate", "utime"), 1),
    **dict.fromkeys(("rename", "replace", "link", "symlink"), 2),
}
_REMOVES = ("unlink", "remove", "rmdir")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Operations:
    """What was done below `root`, as (operation, name); the `at`-th (from 0) meets the fault."""

    root: Path
    fault: Fault = "EIO"
    at: int | None = None
    done: list[tuple[str, str]] = field(default_factory=list)
    halved: bool = False

    def meet(self, operation: str, path: Any, half: Callable[[], object] | None = None) -> None:
        """Count one operation; raise if it fails, after `half` of a write where that is asked."""
        name = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else path
        place = Path(os.fsdecode(name))
        if not place.is_relative_to(self.root):
            return
        number = len(self.done)
        self.done.append((operation, str(place.relative_to(self.root))))
        if self.at is None or number < self.at:
            return
        if self.fault in ("kill", "half"):
            if self.fault == "half" and number == self.at and half is not None:
                half()
                self.halved = True
            raise Killed(operation)
        if self.fault == "EIO":
            fails = number == self.at
        else:
            fails = self.fault == "EROFS" or operation not in _REMOVES
        if fails:
            code = getattr(errno, self.fault)
            raise OSError(code, os.strerror(code), str(place))


class _File:
    """A file that is written to, each write an operation."""

    def __init__(self, file: Any, operations: Operations) -> None:
        self._file, self._operations = file, operations

    def write(self, content: Any) -> Any:
        def half() -> None:
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        self._operations.meet("write", self._file.fileno(), half)
        return self._file.write(content)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def watched(operations: Operations) -> Iterator[Operations]:
    """Every operation of this process on files below the root goes through `operations.meet`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, paths in _CHANGES.items():
            patch.setattr(os, name, _changing(name, getattr(os, name), paths, operations))
        own_open, own_io = os.open, io.open

        def low_open(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
                operations.meet("open", path)
            return own_open(path, flags, *rest, **named)

        def high_open(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if "r" in mode and "+" not in mode:
                return own_io(path, mode, *rest, **named)
            if not isinstance(path, int):  # else `os.open` has opened it
                operations.meet("open", path)
            return _File(own_io(path, mode, *rest, **named), operations)

        def fsync(handle: int) -> None:
            operations.meet("fsync", handle)  # and no more: the tests' files need not last

        patch.setattr(os, "open", low_open)
        patch.setattr(io, "open", high_open)
        patch.setattr("builtins.open", high_open)
        patch.setattr(os, "fsync", fsync)
        yield operations


def _changing(
    name: str, own: Callable[..., Any], paths: int, operations: Operations
) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        operations.meet(name, arguments[paths - 1])
        return own(*arguments, **named)

    return call
