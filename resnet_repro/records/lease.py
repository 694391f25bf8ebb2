"""Which process has a run: a lease on its folder, kept by a heartbeat.

The lease is a file with host, process and a token; its time is the last heartbeat. It needs no
more of a disk than that a file can be created if it isn't there, so it excludes on shared disks,
where flock may exclude nobody or only its own machine's processes. Whoever was killed on this
machine has lost it at once; whoever stays silent for SILENT seconds may lose it to another process,
and must then write no more, which it finds out by asking before each write.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from resnet_repro.errors import UserError

LOCK = ".lock"  # in the folder of a run while a process trains it
SILENT = 60.0  # seconds without a heartbeat after which another process may take the lease
BEATS = 3  # heartbeats in that time
_LOOKS = 5  # at a lease's file before it counts as lost: who tries a lease moves it for a moment


class Busy(UserError):
    """Another process is training this run."""


class TakenOver(Busy):
    """Another process has taken this run over while this one was silent."""


@contextlib.contextmanager
def held(folder: Path, say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Hold a folder's lease; yields what to call before each write, which raises TakenOver.

    Raises Busy when another process has it and UserError where nothing can be written. One whose
    heartbeat is silent is waited for, SILENT seconds at most, of which `say` is told.
    """
    lease = filelock.SoftFileLease(
        folder / LOCK, lease_duration=SILENT, heartbeat_interval=SILENT / BEATS
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder / LOCK)
        _acquire(lease, folder, say)
    except OSError as error:
        raise UserError(
            f"cannot write in {folder}: {error.strerror or error}; give another folder"
        ) from error
    try:
        yield lambda: _check(lease, folder)
    finally:
        with contextlib.suppress(OSError):  # else what ended the run would not be told
            lease.release()  # removes the file unless it is another's by now


def _acquire(lease: filelock.SoftFileLease, folder: Path, say: Callable[[str], None]) -> None:
    busy = Busy(f"another process is training this run ({_holder(folder / LOCK)})")
    try:
        with contextlib.suppress(filelock.Timeout):
            lease.acquire(timeout=1)
            return
        if is_held(folder):
            raise busy
        say(f"{folder}: who had this run is silent; it is taken over if so for {SILENT:g} s")
        lease.acquire(timeout=SILENT * (1 + 1 / BEATS) + 1)
    except filelock.Timeout:
        raise busy from None
    except filelock.LeaseSettingsMismatch as error:
        raise Busy(f"a process of another version is training this run ({folder})") from error


def _sweep(path: Path) -> None:
    """Remove a file that is no lease and was silent for long enough.

    It is half written, or of the suite's first edition, whose processes hold it by flock.
    """
    if not path.is_file() or _owner(path) is not None or _age(path) <= SILENT:
        return
    with contextlib.suppress(filelock.Timeout), filelock.FileLock(path, timeout=0):
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        path.rename(aside)
        if _owner(aside) is None:
            aside.unlink()
        else:  # somebody has swept it meanwhile and got the lease
            aside.rename(path)


def _owner(path: Path) -> filelock.OwnerRecord | None:
    return filelock.SoftFileLease(path, lease_duration=SILENT).owner


def _age(path: Path) -> float:
    """Seconds since a lease's last heartbeat; 0 where there is none."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _holder(path: Path) -> str:
    """Who has a lease, as its file says."""
    owner = _owner(path)
    return f"process {owner.pid} on {owner.hostname}, says {path}" if owner else str(path)


def _check(lease: filelock.SoftFileLease, folder: Path) -> None:
    for _ in range(_LOOKS):
        owner = lease.owner
        if owner is not None and owner.token == lease.token:
            return
        time.sleep(0.1)
    raise TakenOver(f"another process has taken this run over ({folder}); nothing more is written")


def is_held(folder: Path) -> bool:
    """Whether a process has the lease: its heart beats, and it is not known to be dead.

    Only looks: it disturbs neither who holds the lease nor who wants it.
    """
    owner = _owner(folder / LOCK)
    if owner is None or _age(folder / LOCK) > SILENT:
        return False
    return owner.hostname != _here() or _is_alive(owner.pid)


@functools.cache
def _here() -> str:
    """This machine as a lease names it, with the container's processes told apart."""
    with (
        tempfile.TemporaryDirectory() as folder,
        filelock.SoftFileLease(Path(folder) / LOCK) as lease,
    ):
        assert isinstance(lease, filelock.SoftFileLease)
        owner = lease.owner
    return owner.hostname if owner else ""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
