"""What this machine and installation can do, and what a run would choose here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from resnet_repro.data import cifar10
from resnet_repro.data.imagefolder import listing
from resnet_repro.data.imagefolder.decode import SHARED
from resnet_repro.errors import UserError
from resnet_repro.kernels import library
from resnet_repro.records import provenance
from resnet_repro.records.datasets import DATASETS
from resnet_repro.runtime import device as devices

GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and what to do where something is wanting."""

    what: str
    found: str
    advice: str = ""


def examine(data_root: Path | None, folders: Sequence[tuple[str, Path]]) -> list[Finding]:
    """Everything in the order it is read; folders: what they are for, and where they would be."""
    return [
        *(Finding(name, version) for name, version in provenance.versions().items()),
        _processor(),
        _kernels(),
        _cuda(),
        _memory(),
        _shared_memory(),
        _cifar10(data_root),
        _photographs(data_root or cifar10.default_root()),
        *(_folder(what, folder) for what, folder in folders),
        _choice(),
    ]


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    return Finding("processor", f"{provenance.processor_name()}, {cores} cores, {capability}")


def _kernels() -> Finding:
    found = library.instruction_sets()
    if found:
        return Finding("CPU kernels", f"built, used with {found[0]}")
    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in library.INSTRUCTION_SETS:
        return Finding("CPU kernels", f"none for {capability}: PyTorch's own operations are used")
    advice = "install the package again with a C++ compiler at hand (g++ with OpenMP)"
    return Finding("CPU kernels", "not built: steps take about twice as long", advice)


def _cuda() -> Finding:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("CUDA", ", ".join(names))
    built = torch.version.cuda
    return Finding("CUDA", "no device" if built else "no device, and a torch without CUDA")


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "not known")
    return Finding("memory", f"{total / GIB:.0f} GiB")


def _shared_memory() -> Finding:
    try:
        free = shutil.disk_usage(SHARED).free
    except OSError:
        return Finding("shared memory", "none seen; only readers of photographs need any")
    advice = "" if free >= GIB else "photographs need more: in a container, give it --shm-size 8g"
    return Finding("shared memory", f"{free / GIB:.1f} GiB free", advice)


def _cifar10(root: Path | None) -> Finding:
    try:
        found = cifar10.load(root)
    except UserError as error:
        return Finding("CIFAR-10", "not found", str(error))
    digest = DATASETS["cifar10"].digest
    advice = "" if found.digest == digest else "another copy than the recorded runs saw"
    return Finding("CIFAR-10", f"{len(found.train):,} + {len(found.test):,} images", advice)


def _photographs(root: Path) -> Finding:
    """The form in which photographs are there; `data` reads them, and unpacks what is packed."""
    try:
        found = listing.describe(root)
    except OSError as error:
        return Finding("photographs", f"{root}: {error.strerror}", "give another folder")
    return Finding("photographs", f"{root}: {found}" if found else f"none in {root}")


def _folder(what: str, folder: Path) -> Finding:
    """Whether a file can be written there, or in what there is of the way to it."""
    near = folder.absolute()
    while not near.exists() and near != near.parent:
        near = near.parent
    try:
        with tempfile.TemporaryFile(dir=near):
            pass
    except OSError as error:
        return Finding(what, f"{folder}: {error.strerror}", "give another folder")
    return Finding(what, f"{folder}, can be written")


def _choice() -> Finding:
    chosen = devices.choose()
    facts = [chosen.kind, chosen.precision, f"{chosen.threads} threads"]
    facts += ["own kernels"] if chosen.kernels else []
    facts += ["compiled blocks"] if chosen.compile else []
    facts += ["one CUDA graph a step"] if chosen.graph else []
    return Finding("`auto` chooses", ", ".join(facts))
