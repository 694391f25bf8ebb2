"""Builds the optional CPU kernels; everything else about the package is in pyproject.toml."""

import platform

from setuptools import Extension, setup

x86 = platform.machine().lower() in ("x86_64", "amd64")

# The same sources for each instruction set; resnet_repro/kernels/library.py chooses as it runs.
# AVX-512 in the parts that PyTorch asks of a processor before it speaks of AVX-512.
FLAGS = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"],
}

setup(
    ext_modules=[
        Extension(
            f"resnet_repro.kernels._cpu_{name}",
            ["resnet_repro/kernels/winograd.cpp", "resnet_repro/kernels/batch_norm_relu.cpp"],
            extra_compile_args=["-O3", *flags, "-fopenmp"],
            extra_link_args=["-fopenmp"],
            optional=True,  # without a compiler PyTorch's own operations are used
        )
        for name, flags in FLAGS.items()
    ]
    if x86  # not measured on other processors
    else []
)
