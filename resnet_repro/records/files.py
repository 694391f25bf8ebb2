"""Writing whole files or none, and reading files that may be anything."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

import msgspec

from resnet_repro.errors import UserError

MAX_JSON_BYTES = 2**24  # 16 MiB; the largest file of a record has a few kB
MAX_JSON_DEPTH = 32  # objects and lists within each other; a record has six at most
MAX_TEXT_BYTES = 2**28  # 256 MiB, some million rows
LEFT_BEHIND = 3600.0  # seconds, after which nobody writes a temporary file any more
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}  # of file systems that do not sync
_MAX_DIGITS = 19  # of a whole number of 64 bits
# Where a text may have half of a surrogate pair, or a number be too large for a float.
_SUSPECT = re.compile(r"\\u|[0-9][eE]\+?[0-9]{3}|[0-9]{300}")
T = TypeVar("T")
_SHOWN = 80  # characters of a key, in a message


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, sync it, and rename it over `path`.

    The folder is synced, too, or the rename could be lost with the power. Temporary files of the
    same name, of processes that were killed long ago, are removed.
    Raises UserError when the place cannot be written; what was there before stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The mode is left to the umask: some file systems refuse to have it changed.
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                _sync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; make room or give another folder"
        ) from error
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND:
                left.unlink()


def remove(path: Path) -> None:
    """Remove a file that may be gone already. Raises UserError when it cannot be removed."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {path}: {error.strerror or error}") from error


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # where folders cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _sync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys."""
    write_atomic(
        path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
    )


def is_file(path: Path) -> bool:
    """Whether a regular file is there; a name no file can have is none."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be entered
        return False


def open_file(path: Path) -> BufferedReader:
    """A regular file, opened to be read.

    Raises UserError for anything else in its place: opening a fifo would wait for its writer.
    """
    return os.fdopen(_open(path), "rb")


def _open(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from error
    raise UserError(f"{path} is no regular file: remove or restore it")


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """The text of a file of at most `limit` bytes.

    Raises UserError when it cannot be read, is no regular file, is larger, or is no UTF-8.
    """
    handle, content = _open(path), b""
    try:
        # By the system's calls alone: there may be tens of thousands of small files.
        size = min(os.fstat(handle).st_size, limit)
        while len(content) <= limit and (more := os.read(handle, size + 1)):
            content += more
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    finally:
        os.close(handle)
    if len(content) > limit:
        raise UserError(f"{path} has more than {limit:,} bytes: remove or restore it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: remove or restore it") from error


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file, of the values that `parse_json` takes.

    Everything the suite reads as JSON from disk comes through here or through `parse_json`.
    Raises UserError when the file cannot be read or holds anything else.
    """
    value = parse_json(read_text(path, MAX_JSON_BYTES), str(path))
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object: remove or restore it")
    return value


def convert(value: object, kind: type[T], where: Path) -> T:
    """A JSON value from a file as a msgspec struct of that kind.

    Raises UserError naming the file and the field when a field is missing, unknown, of another
    type or out of its bounds.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{where}: {' '.join(str(error).split())}; restore or rerun it") from error


def parse_json(text: str, where: str, *, own: bool = False) -> object:
    """The JSON value of a text; `where` names its source in a message.

    Numbers are finite and whole ones have 64 bits, texts are Unicode, no key stands twice in an
    object and MAX_JSON_DEPTH is kept. Raises UserError for anything else.
    own: whether the suite wrote the text beside a checksum; numbers and texts are then as Python
    writes them, for a checkpoint may hold a NaN and a file's name bytes that are no UTF-8.
    """

    def refuse(why: str) -> UserError:
        return UserError(f"{where}: {why}: remove or restore it")

    def unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, item in pairs:
            if key in found:
                raise refuse(f"the key {ascii(key)[:_SHOWN]} stands twice")
            found[key] = item
        return found

    def whole(digits: str) -> int:
        if not own and (
            len(digits.lstrip("-")) > _MAX_DIGITS or not -(2**63) <= int(digits) < 2**63
        ):
            raise refuse("a whole number of more than 64 bits")
        return int(digits)

    def constant(name: str) -> float:  # JSON has none of them, though Python's reader takes them
        if not own:
            raise ValueError(name)
        return float(name)

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_int=whole, parse_constant=constant)
    except RecursionError as error:
        raise refuse(f"lists or objects more than {MAX_JSON_DEPTH} deep") from error
    except ValueError as error:
        raise UserError(f"{where} is not whole JSON: remove or restore it") from error
    if (
        not own
        and not _SUSPECT.search(text)
        and text.count("{") + text.count("[") <= MAX_JSON_DEPTH
    ):
        return value  # as is the rule; the rest takes longer than the parsing
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        for item in level:
            if isinstance(item, float) and not own and math.isinf(item):
                raise refuse("a number too large for a float")
            if isinstance(item, str) and not own and not _is_unicode(item):
                raise refuse("a text with half of a surrogate pair")
        level = [part for item in level for part in _parts(item)]
    if level:
        raise refuse(f"lists or objects more than {MAX_JSON_DEPTH} deep")
    return value


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
