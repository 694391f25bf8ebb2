"""The compiled kernels: where they are, whether this machine can run them, how they are called.

They are C++ in this folder, compiled when the package is installed where there is a compiler
with OpenMP. Without them everything is computed by PyTorch's own operations.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util

import torch
from torch import Tensor

LANES = 8  # channels a vector: the kernels take channels by eights

_POINTER, _WHOLE, _REAL = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
_SIGNATURES = {
    "winograd_convolution": [*[_POINTER] * 3, *[_WHOLE] * 5],
    "winograd_weight_gradient": [*[_POINTER] * 3, *[_WHOLE] * 5],
    "batch_norm_relu": [*[_POINTER] * 7, *[_WHOLE] * 2, _REAL],
    "batch_norm_relu_gradient": [*[_POINTER] * 11, *[_WHOLE] * 2, _REAL],
}


@functools.cache
def _library() -> ctypes.CDLL | None:
    # torch is imported first, so that the kernels share its OpenMP threads.
    found = importlib.util.find_spec("resnet_repro.kernels._cpu")
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


def available() -> bool:
    """Whether the kernels were built and this processor can run them (x86 with AVX2)."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") and _library() is not None


def call(name: str, *arguments: Tensor | int | float | None) -> None:
    """Call a kernel with PyTorch's number of threads. None is a null pointer.

    Tensors must be float32, on the CPU and laid out as the kernel says. Raises MemoryError.
    """
    plain = [a.data_ptr() if isinstance(a, Tensor) else a for a in arguments]
    if getattr(_library(), name)(*plain, torch.get_num_threads()):
        raise MemoryError(f"not enough memory for {name}")
