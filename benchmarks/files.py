"""What the benchmark writes and reads back: two tables and a description of the machine a device.

`cifar_<device>_measurements.csv`: a row per network, contestant and repeat.
`cifar_<device>_summary.csv`: a row per network and contestant. `cifar_<device>_machine.json`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contestant import USUAL, peak_memory_words
from benchmarks.floor import Rates
from benchmarks.measure import Account, Measurement, Plan
from benchmarks.summary import Summary
from resnet_repro.errors import UserError
from resnet_repro.records import provenance
from resnet_repro.records.files import read_json, write_json
from resnet_repro.records.store import read_table, write_table

DEVICES = ("cpu", "cuda", "mps")
MEASURED = (*(f.name for f in dataclasses.fields(Measurement)), "images_per_second")
SUMMARISED = tuple(f.name for f in dataclasses.fields(Summary))
TEXTS = ("network", "contestant", "floor_limit", "note")
MACHINE_KEYS = ("name", "cores", "switches", "versions", "images", "usual", "memory", "rates")


@dataclass(frozen=True)
class Recorded:
    """The last measurement on one kind of device, read back."""

    device: str
    machine: dict[str, Any]
    summaries: tuple[Summary, ...]


def machine(plan: Plan, rates: Rates, accounts: Sequence[Account], started: str) -> dict[str, Any]:
    """What the numbers hold for; no path of this machine's is in it."""
    commit, dirty = provenance.commit()
    threads = [a.set_up.threads for a in accounts if a.contestant == USUAL and a.set_up]
    return {
        "name": plan.device.name,
        "processor": provenance.processor_name(),
        "cores": os.cpu_count(),
        "switches": dataclasses.asdict(plan.device),
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
        "started": started,
        "ended": provenance.utc_now(),
        "images": plan.source.words,
        "repeats": plan.repeats,
        "seconds": None if plan.steps else plan.seconds,
        "steps": plan.steps,
        "usual": {"workers": plan.workers, "threads": threads[0] if threads else None},
        "peer": plan.peer.expanduser().resolve().name if plan.peer else None,
        "memory": peak_memory_words(plan.device.kind),
        "rates": dataclasses.asdict(rates),
    }


def write(
    out: Path,
    device: str,
    described: dict[str, Any],
    measurements: Sequence[Measurement],
    summaries: Sequence[Summary],
) -> list[Path]:
    """Write the three files of a device; returns them."""
    paths = _paths(out, device)
    rows = [
        dataclasses.asdict(m) | {"images_per_second": m.images_per_second} for m in measurements
    ]
    write_table(paths[0], MEASURED, [_short(row) for row in rows])
    write_table(paths[1], SUMMARISED, [_short(dataclasses.asdict(s)) for s in summaries])
    write_json(paths[2], described)
    return list(paths)


def read(out: Path) -> list[Recorded]:
    """What `out` holds of every device. Raises UserError for a damaged file."""
    found = []
    for device in DEVICES:
        _, table, description = _paths(out, device)
        if not table.exists():
            continue
        described = read_json(description)
        missing = [key for key in MACHINE_KEYS if key not in described]
        if missing:
            raise UserError(f"{description} lacks {', '.join(missing)}: measure again")
        rows = [_summary(row, table) for row in read_table(table, SUMMARISED)]
        found.append(Recorded(device, described, tuple(rows)))
    return found


def _paths(out: Path, device: str) -> tuple[Path, Path, Path]:
    endings = ("measurements.csv", "summary.csv", "machine.json")
    first, second, third = (out / f"cifar_{device}_{ending}" for ending in endings)
    return first, second, third


def _short(row: dict[str, Any]) -> dict[str, object]:
    """Six digits of a measured number; nothing for None."""
    return {
        key: "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
        for key, value in row.items()
    }


def _summary(row: dict[str, str], path: Path) -> Summary:
    try:
        values: dict[str, Any] = {
            key: text if key in TEXTS else float(text) if text else None
            for key, text in row.items()
        }
        return Summary(**values | {"repeats": int(row["repeats"])})
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): measure again") from error
