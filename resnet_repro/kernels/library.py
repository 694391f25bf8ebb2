"""The compiled kernels: where they are, what this machine can run of them, how they are called.

They are C++ in this folder, compiled when the package is installed where there is a compiler
with OpenMP, once for each of INSTRUCTION_SETS. Without them everything is computed by PyTorch's
own operations.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.util
from collections.abc import Iterator

import torch
from torch import Tensor

LANES = 8  # channels a vector: the kernels take channels by eights
INSTRUCTION_SETS = ("AVX512", "AVX2")  # the best first; PyTorch's names

_POINTER, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_SIGNATURES = {
    "winograd_convolution": [*[_POINTER] * 3, *[_WHOLE] * 7],
    "winograd_weight_gradient": [*[_POINTER] * 3, *[_WHOLE] * 6],
    "batch_norm_relu": [*[_POINTER] * 7, *[_WHOLE] * 4, _REAL],
    "batch_norm_relu_gradient": [*[_POINTER] * 11, *[_WHOLE] * 4, _REAL],
}
_asked: list[str] = []  # instruction sets asked for by name, the latest last


@functools.cache
def _library(instructions: str) -> ctypes.CDLL | None:
    # torch is imported first, so that the kernels share its OpenMP threads.
    found = importlib.util.find_spec(f"resnet_repro.kernels._cpu_{instructions.lower()}")
    if found is None or found.origin is None:
        return None
    try:
        library = ctypes.CDLL(found.origin)
        for name, arguments in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes = [*arguments, ctypes.c_int]
            function.restype = ctypes.c_int
    except (OSError, AttributeError):  # built for another machine, or from older sources
        return None
    return library


@functools.cache
def instruction_sets() -> tuple[str, ...]:
    """Those of INSTRUCTION_SETS that this processor has and the kernels were built for."""
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in INSTRUCTION_SETS:
        return ()
    # Every processor with AVX-512 has AVX2.
    had = INSTRUCTION_SETS[INSTRUCTION_SETS.index(capability) :]
    return tuple(name for name in had if _library(name) is not None)


def available() -> bool:
    """Whether the kernels were built and this processor can run them (x86 with AVX2)."""
    return bool(instruction_sets())


@contextlib.contextmanager
def computing_with(instructions: str) -> Iterator[None]:
    """Within it the kernels use this one of `instruction_sets()`, not the best.

    Raises ValueError if there are no kernels of that name here.
    """
    if instructions not in instruction_sets():
        raise ValueError(f"no kernels for {instructions} here: {instruction_sets()}")
    _asked.append(instructions)
    try:
        yield
    finally:
        _asked.pop()


def last(x: Tensor) -> Tensor:
    """The same values with the channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def call(name: str, *arguments: Tensor | int | float | None) -> None:
    """Call a kernel with PyTorch's number of threads. None is a null pointer.

    Tensors are on the CPU, float32 or bfloat16 as the kernel says, and without gaps in memory.
    Raises TypeError for others, MemoryError if there is not enough memory.
    """
    for a in arguments:
        if isinstance(a, Tensor) and not (
            a.device.type == "cpu" and a.dtype in (torch.float32, torch.bfloat16)
        ):
            raise TypeError(f"{name} takes float32 and bfloat16 on the CPU: {a.dtype}, {a.device}")
    plain = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
    library = _library(_asked[-1] if _asked else instruction_sets()[0])
    if getattr(library, name)(*plain, torch.get_num_threads()):
        raise MemoryError(f"not enough memory for {name}")
