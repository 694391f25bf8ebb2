"""Builds the optional CPU kernels; everything else about the package is in pyproject.toml."""

import platform

from setuptools import Extension, setup

x86 = platform.machine().lower() in ("x86_64", "amd64")

setup(
    ext_modules=[
        Extension(
            "resnet_repro.kernels._cpu",
            ["resnet_repro/kernels/winograd.cpp", "resnet_repro/kernels/batch_norm_relu.cpp"],
            extra_compile_args=["-O3", "-mavx2", "-mfma", "-fopenmp"],
            extra_link_args=["-fopenmp"],
            optional=True,  # without a compiler PyTorch's own operations are used
        )
    ]
    if x86  # not measured on other processors
    else []
)
