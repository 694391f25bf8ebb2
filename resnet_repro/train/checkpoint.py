"""Checkpoints: everything a run needs to go on, in a form that executes nothing.

A file is one line, the SHA-256 of what follows, then safetensors bytes: the state's tensors
and, as the bytes of a tensor, a JSON object with the rest. The newest two are kept, so that a
damaged one costs minutes and not the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from resnet_repro.errors import UserError
from resnet_repro.records.files import parse_json, remove, write_atomic

_REST = "rest.json"


@dataclass(frozen=True)
class Checkpoint:
    """State after `iteration` steps: tensors by name, and numbers, texts and rows."""

    iteration: int
    tensors: dict[str, Tensor]
    rest: dict[str, object]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop all but the newest two. Raises UserError when it cannot."""
    rest = json.dumps({**checkpoint.rest, "iteration": checkpoint.iteration}).encode()
    tensors = on_host(checkpoint.tensors)
    tensors[_REST] = torch.frombuffer(bytearray(rest), dtype=torch.uint8)
    payload = safetensors.torch.save(tensors)
    digest = hashlib.sha256(payload).hexdigest()
    path = folder / f"{checkpoint.iteration:08d}.checkpoint"
    write_atomic(path, digest.encode() + b"\n" + payload)
    for old in _newest_first(folder)[2:]:
        remove(old)


def on_host(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the host, brought there by one transfer for each type."""
    copies: dict[str, Tensor] = {}
    for dtype in {tensor.dtype for tensor in tensors.values()}:
        some = {name: tensor.detach() for name, tensor in tensors.items() if tensor.dtype == dtype}
        flat = torch.cat([tensor.reshape(-1) for tensor in some.values()]).cpu()
        parts = flat.split([tensor.numel() for tensor in some.values()])
        for (name, tensor), part in zip(some.items(), parts, strict=True):
            copies[name] = part.view(tensor.shape)
    return {name: copies[name] for name in tensors}


def load_newest(say: Callable[[str], None], *folders: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; what is damaged is named through `say`."""
    paths = _newest_first(*folders)
    for path, before in zip(paths, [*paths[1:], None], strict=False):
        try:
            return _load(path)
        except UserError as error:
            say(f"{error}; going back to {before.name if before else 'the start'}")
    return None


def clear(*folders: Path) -> None:
    """Remove the checkpoints of a finished run. Raises UserError when it cannot."""
    for path in _newest_first(*folders):
        remove(path)


def _newest_first(*folders: Path) -> list[Path]:
    found = [path for folder in folders for path in folder.glob("*.checkpoint")]
    return sorted(found, key=lambda path: path.name, reverse=True)


def _load(path: Path) -> Checkpoint:
    damaged = UserError(f"{path.name} is damaged")
    try:
        digest, _, payload = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise UserError(f"{path.name} cannot be read ({error.strerror})") from error
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise damaged
    try:
        tensors = safetensors.torch.load(payload)
        text = bytes(tensors.pop(_REST).tolist()).decode()
        rest = parse_json(text, path.name, own=True)
        if not isinstance(rest, dict):
            raise damaged
        return Checkpoint(int(rest.pop("iteration")), tensors, rest)
    except (safetensors.SafetensorError, UserError, KeyError, ValueError, TypeError) as error:
        raise damaged from error
