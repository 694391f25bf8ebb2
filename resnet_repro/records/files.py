"""Writing whole files or none, and reading text that may be anything."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from resnet_repro.errors import UserError


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to a temporary name beside `path`, sync it, and rename it over `path`.

    Raises UserError when the place cannot be written; what was there before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; make room or give another folder"
        ) from error


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with sorted keys."""
    write_atomic(
        path, (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
    )


def read_text(path: Path) -> str:
    """The text of a file. Raises UserError when it cannot be read or is no UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text: remove or restore it") from error


def _refuse(constant: str) -> None:
    """JSON has no NaN and no infinity, though Python's reader takes them."""
    raise ValueError(constant)


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file. Raises UserError when it holds anything else."""
    try:
        value = json.loads(read_text(path), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not whole JSON: remove or restore it") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object: remove or restore it")
    return value
