"""Where and how precisely a run is computed: what is recorded but decides nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from resnet_repro import kernels as cpu_kernels
from resnet_repro.environment import from_environment
from resnet_repro.errors import UserError
from resnet_repro.records import provenance
from resnet_repro.records.schema import Execution
from resnet_repro.runtime.compilation import compiler
from resnet_repro.runtime.trial import Way, fastest

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
SWITCHES = ("auto", "on", "off")
MOST_READERS = 16


@dataclass(frozen=True)
class Device:
    """A device and the arithmetic used on it."""

    kind: str  # cpu, cuda, mps
    precision: str  # fp32, tf32, bf16
    threads: int
    kernels: bool = False  # own CPU kernels (resnet_repro.kernels)
    compile: bool = False  # torch.compile of the repeated block
    graph: bool = False  # a step as one CUDA graph
    grad_accum_steps: int = 1  # that a process computes its batch in, one after another
    workers: int = 0  # processes that read image files; 0: this one
    tried: bool = False  # precision and kernels are the fastest of a trial, which may err

    @property
    def torch(self) -> torch.device:
        return torch.device(self.kind)

    @property
    def name(self) -> str:
        """The processor's or accelerator's model name."""
        if self.kind == "cuda":
            return str(torch.cuda.get_device_name())
        return provenance.processor_name()


def choose(
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    *,
    kernels: str = "auto",
    compile: str = "auto",
    graph: str = "auto",
    grad_accum_steps: int = 1,
    workers: int | None = None,
    photographs: bool = False,
) -> Device:
    """Settle `auto` and check that this machine can do what is asked.

    `auto` takes CUDA, then the CPU (MPS on request: its float64 gaps make it the slower
    surprise), bf16 where the hardware multiplies it, on a CPU if a trial finds that faster, and
    of the fast paths those that are faster on such a device. `photographs` are read from files by
    `workers` processes as training goes on, and their steps are not captured. Raises UserError
    otherwise.
    """
    if device not in DEVICES:
        raise UserError(f"unknown device '{device}': give one of {', '.join(DEVICES)}")
    if precision not in PRECISIONS:
        raise UserError(f"unknown precision '{precision}': give one of {', '.join(PRECISIONS)}")
    for switch in (kernels, compile, graph):
        if switch not in SWITCHES:
            raise UserError(f"unknown setting '{switch}': give one of {', '.join(SWITCHES)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("no CUDA device here: give --device cpu or auto")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UserError("no MPS device here: give --device cpu or auto")
    if precision == "auto" and device != "cpu":
        precision = "bf16" if device == "cuda" and _cuda_multiplies_bf16() else "fp32"
    if precision == "tf32" and device != "cuda":
        raise UserError(f"tf32 exists on CUDA only: give --precision fp32 or bf16 on {device}")
    if graph == "on" and device != "cuda":
        raise UserError("only CUDA has graphs: give --device cuda or --graph auto")
    if graph == "on" and photographs:
        raise UserError("steps on photographs are not captured: give --graph auto or off")
    if workers is None:
        workers = _readers(device) if photographs else 0
    compiled = compile == "on" or (compile == "auto" and device == "cuda")
    threads = threads or torch.get_num_threads()
    ways = _ways(precision, _use_kernels(device, kernels, compiled), kernels == "auto")
    precision, use_kernels = fastest(ways, threads)
    return Device(
        device,
        precision,
        threads,
        kernels=use_kernels,
        compile=compiled,
        graph=graph != "off" and device == "cuda" and not photographs,
        grad_accum_steps=grad_accum_steps,
        workers=workers,
        tried=len(ways) > 1,
    )


def followed(device: Device, earlier: Execution) -> Device:
    """`device`, computing as an earlier sitting of the same run did where that was left to a trial.

    So the trial's chance cannot change how a run that goes on is computed.
    """
    if not device.tried or (earlier.device, earlier.device_name) != (device.kind, device.name):
        return device
    if earlier.kernels and not cpu_kernels.available():
        return device
    return dataclasses.replace(device, precision=earlier.precision, kernels=earlier.kernels)


def _readers(device: str) -> int:
    """Processes to read files: on CUDA every core of this process's share, else one."""
    if device != "cuda":
        return 1  # the cores are computing
    share = from_environment("LOCAL_WORLD_SIZE", 1)
    return max(1, min(MOST_READERS, (os.cpu_count() or 1) // share))


def _use_kernels(device: str, asked: str, compiled: bool) -> bool:
    """Whether to use the CPU kernels; `auto` where they are built and the model is not compiled."""
    fits = device == "cpu" and not compiled
    if asked == "auto":
        return fits and cpu_kernels.available()
    if asked == "on" and not fits:
        raise UserError(
            "the CPU kernels are for a CPU and are not compiled: give --device cpu --compile off"
        )
    if asked == "on" and not cpu_kernels.available():
        raise UserError(
            "the CPU kernels are not built: install the package with a C++ compiler at hand "
            "(on an x86 processor with AVX2), or give --kernels auto"
        )
    return asked == "on"


def _ways(precision: str, kernels: bool, either: bool) -> tuple[Way, ...]:
    """What to choose from, the most exact first; the kernels may be left out if `either`.

    PyTorch computes what is not the kernels', and emulates bf16, slowly, where the processor
    lacks it: there a trial has nothing to find.
    """
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    asked = [precision] if precision != "auto" else ["fp32", "bf16"] if native else ["fp32"]
    ways = [(p, kernels) for p in asked]
    if kernels and either and native and "bf16" in asked:
        ways.append(("bf16", False))
    return tuple(ways)


def _cuda_multiplies_bf16() -> bool:
    return torch.cuda.get_device_capability() >= (8, 0)


@contextlib.contextmanager
def computing(device: Device) -> Iterator[None]:
    """Set threads, float32 arithmetic and the compiler for a run, and put them back after it."""
    threads = torch.get_num_threads()
    before = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.set_num_threads(device.threads)
    torch.set_float32_matmul_precision("high" if device.precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = device.precision == "tf32"
    torch.backends.cudnn.benchmark = True  # shapes never change, so the search pays once
    try:
        with compiler() if device.compile else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = cudnn


def synchronize(device: Device) -> None:
    """Wait until everything that was asked of the device is done."""
    if device.kind == "cuda":
        torch.cuda.synchronize()
    elif device.kind == "mps":
        torch.mps.synchronize()


def uncompiled(device: Device) -> contextlib.AbstractContextManager[None]:
    """For what runs once, or hooks into blocks: compiled blocks run as they were written."""
    if not device.compile:
        return contextlib.nullcontext()
    stance: contextlib.AbstractContextManager[None] = torch.compiler.set_stance("force_eager")
    return stance


def autocast(device: Device) -> torch.autocast:
    """bf16 for convolutions and the linear layer; does nothing at other precisions.

    Weights are not cached between uses: each has one, and a captured graph must cast them anew.
    """
    return torch.autocast(
        device.kind,
        dtype=torch.bfloat16,
        enabled=device.precision == "bf16",
        cache_enabled=False,
    )


def executed(device: Device, started: str, command: str) -> dict[str, object]:
    """What the record of an evaluation says of how it was made; call it when that has ended."""
    commit, dirty = provenance.commit()
    return {
        "versions": provenance.versions(),
        "device": device.kind,
        "device_name": device.name,
        "precision": device.precision,
        "threads": device.threads,
        "commit": commit,
        "dirty": dirty,
        "command": command,
        "started": started,
        "ended": provenance.utc_now(),
    }
