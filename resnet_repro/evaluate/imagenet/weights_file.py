"""A file of weights as tensors by name, out of whatever wrapping a trainer has saved them in.

Nothing in a file is executed.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from resnet_repro.data.cifar10_forms import one_line
from resnet_repro.errors import UserError
from resnet_repro.records.files import open_file

# Where checkpoints keep the weights, within each other to so many levels.
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "module")
MAX_WRAPPERS = 8
# Of DataParallel, torch.compile and whatever keeps the network under a name of its own.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
COUNTERS = ("n_averaged",)  # of torch's averaged models, beside the weights
_POINTER = b"version https://git-lfs"

State = dict[str, Tensor]


def read_state(path: Path) -> State:
    """The tensors of a weights file by name, without wrappers and prefixes of checkpoints.

    Raises UserError when the file is missing, is none of weights, or holds more than tensors and
    plain values: those are never loaded, as that would run code of the file's.
    """
    if not path.is_file():
        raise UserError(f"no weights file {path}: give a .safetensors, .pth or .pt file")
    with open_file(path) as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise UserError(
                f"{path} is a pointer of Git LFS, not the weights: fetch them with git lfs pull"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old and odd forms of pickle; the outcome counts
            if path.suffix.lower() == ".safetensors":
                value: Any = safetensors.torch.load_file(path)
            else:
                value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files raise all there is
        if "Unsupported global" in str(error):
            raise UserError(
                f"{path} holds Python objects beside tensors, which are not loaded because they "
                "can run code: save the network's state_dict() alone"
            ) from error
        told = one_line(error).partition(". ")[0]
        reason = told if " " in told else type(error).__name__  # a lone number says nothing
        raise UserError(
            f"{path} is no whole file of weights ({reason}): give a .safetensors, .pth or .pt file"
        ) from error
    return _without_prefixes(path, _tensors(path, _unwrapped(path, value)))


def _unwrapped(path: Path, value: Any) -> dict[Any, Any]:
    """What is within a checkpoint's wrappers. Raises UserError where there are too many, or none
    holds anything."""
    for _ in range(MAX_WRAPPERS + 1):
        if not isinstance(value, dict) or not value:
            raise UserError(f"{path} holds no weights by name: save the network's state_dict()")
        inner = next((value[k] for k in WRAPPERS if isinstance(value.get(k), dict)), None)
        if inner is None:
            return value
        value = inner
    raise UserError(
        f"{path}: its weights lie more than {MAX_WRAPPERS} deep: save the network's state_dict()"
    )


def _tensors(path: Path, value: dict[Any, Any]) -> State:
    """The tensors, counters left out. Raises UserError naming one that is none, or is not dense,
    real and there."""
    state: State = {}
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(
                f"{path}: {str(name)!r} is no tensor: save the network's state_dict() alone"
            )
        if name in COUNTERS:
            continue
        if kind := _odd(name, tensor):
            raise UserError(
                f"{path}: {name!r} is {kind}: give weights of ordinary floating-point numbers"
            )
        state[name] = tensor
    return state


def _odd(name: str, tensor: Tensor) -> str:
    """What is odd about a tensor; empty for a dense one of finite real numbers.

    Batch normalisation's counts of batches are whole numbers, its variances not negative.
    """
    if tensor.is_nested:
        return "nested"
    if tensor.layout != torch.strided:
        return "sparse"
    if tensor.is_meta:
        return "without values (a meta tensor)"
    if tensor.is_quantized:
        return "quantised"
    if tensor.is_complex():
        return "complex"
    if not tensor.is_floating_point():
        return "" if name.endswith("num_batches_tracked") else "of whole numbers"
    values = tensor.float()  # float8 has no comparisons
    if name.endswith("running_var"):
        # Infinity is taken: variances kept in half precision overflow, as one of the first
        # recorded ResNet-20 has, and such a channel gives its bias.
        return "" if (values >= 0).all() else "negative, or no number, in places"
    return "" if values.isfinite().all() else "not finite throughout"


def _without_prefixes(path: Path, state: State) -> State:
    """The state without what stands before all names. Raises UserError where it is before some."""
    while prefix := next((p for p in PREFIXES if any(k.startswith(p) for k in state)), None):
        if other := next((k for k in state if not k.startswith(prefix)), None):
            raise UserError(
                f"{path}: {other!r} does not begin with {prefix!r} as other names do: save the "
                "network's state_dict() alone"
            )
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state
