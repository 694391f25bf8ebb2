"""Builds the optional CPU kernels, and packs what lies beside the package into the wheel.

Everything else about the package is in pyproject.toml.
"""

import platform
import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

x86 = platform.machine().lower() in ("x86_64", "amd64")

# The same sources for each instruction set; resnet_repro/kernels/library.py chooses as it runs.
# AVX-512 in the parts that PyTorch asks of a processor before it speaks of AVX-512.
FLAGS = {
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma"],
}

# From the top of the checkout into resnet_repro/suite (resnet_repro/paths.py). The weights are ten
# times as large as all the rest, and stay in the repository.
TRAVELS = ("experiments/*.py", "results/recorded/**/*.json", "results/recorded/**/*.csv")


class BuildPy(build_py):
    """Lets experiment scripts and recorded results travel in the wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return  # they are where they are
        suite = Path(self.build_lib, "resnet_repro", "suite")
        shutil.rmtree(suite, ignore_errors=True)
        for pattern in TRAVELS:
            for path in Path().glob(pattern):
                target = suite / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(
    cmdclass={"build_py": BuildPy},
    ext_modules=[
        Extension(
            f"resnet_repro.kernels._cpu_{name}",
            ["resnet_repro/kernels/winograd.cpp", "resnet_repro/kernels/batch_norm_relu.cpp"],
            depends=["resnet_repro/kernels/vectors.h"],  # and so part of a source distribution
            extra_compile_args=["-O3", *flags, "-fopenmp"],
            extra_link_args=["-fopenmp"],
            optional=True,  # without a compiler PyTorch's own operations are used
        )
        for name, flags in FLAGS.items()
    ]
    if x86  # not measured on other processors
    else [],
)
