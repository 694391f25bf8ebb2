"""The machine and the arithmetic that measured numbers hold for, and the files named after them."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from resnet_repro.errors import UserError
from resnet_repro.records import provenance
from resnet_repro.records.files import read_json, write_json
from resnet_repro.runtime.device import Device
from resnet_repro.train.recipe import PAPER, RECIPE_VERSION

OUT = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Machine:
    """A kind of machine and how it computed. An allow-list: no path, no host's name."""

    device: str  # cpu, cuda, mps
    name: str  # the processor's or accelerator's model
    instruction_sets: tuple[str, ...]
    precision: str  # ours'; what ours is compared with computes in fp32
    threads: int
    torch: str  # its build

    @property
    def slug(self) -> str:
        """Names this kind's file, so that no other machine's numbers are written over."""
        name = re.sub(r"\(\w*\)", " ", self.name)  # (R), (TM)
        parts = (name, *self.instruction_sets, self.precision, self._threads)
        return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")

    @property
    def words(self) -> str:
        sets = ", ".join(self.instruction_sets) or "no vector instructions"
        return f"{self.name} ({sets}), {self.precision}, {self._threads}, torch {self.torch}"

    @property
    def _threads(self) -> str:
        return f"{self.threads} thread{'' if self.threads == 1 else 's'}"


@dataclass(frozen=True)
class Result:
    """One machine's file: the machine, what else the numbers depend on, and a dict a row."""

    machine: Machine
    facts: dict[str, Any]
    rows: list[dict[str, Any]]


def this_machine(device: Device) -> Machine:
    """This machine, computing as `device` says."""
    sets, build = instruction_sets(device.kind), str(torch.__version__)
    return Machine(device.kind, device.name, sets, device.precision, device.threads, build)


def instruction_sets(kind: str) -> tuple[str, ...]:
    """Those that decide the speed: the vectors PyTorch computes with, bf16 and AMX units."""
    if kind == "cuda":
        major, minor = torch.cuda.get_device_capability()
        return (f"sm_{major}{minor}",)
    capability = torch.backends.cpu.get_cpu_capability()
    found = {
        capability: capability not in ("DEFAULT", "NO AVX"),
        "bf16": torch.cpu._is_avx512_bf16_supported(),
        "AMX": torch.cpu._is_amx_tile_supported(),
    }
    return tuple(name for name, has in found.items() if has)


def facts(started: str) -> dict[str, Any]:
    """What every benchmark notes of the code, the time and the recipe; call it at the end."""
    commit, dirty = provenance.commit()
    return {
        "cores": os.cpu_count(),
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
        "started": started,
        "ended": provenance.utc_now(),
        "recipe_version": RECIPE_VERSION,
        "bn_batch": PAPER.bn_batch,
    }


def write(out: Path, benchmark: str, result: Result) -> Path:
    """Write `<benchmark>-<machine>.json`, over this kind of machine's last one if there is one."""
    path = out / f"{benchmark}-{result.machine.slug}.json"
    write_json(path, dataclasses.asdict(result))
    return path


def read(out: Path, benchmark: str) -> list[Result]:
    """Every machine's result, by the files' names. Raises UserError for a damaged one."""
    found = []
    for path in sorted(out.glob(f"{benchmark}-*.json")):
        value: dict[str, Any] = read_json(path)
        try:
            about = dict(value["machine"])
            machine = Machine(**about | {"instruction_sets": tuple(about["instruction_sets"])})
            found.append(Result(machine, dict(value["facts"]), list(value["rows"])))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error!r}): measure again") from error
    return found
