"""What was measured of the notebooks: their processor time, and their conclusions over seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from resnet_repro.records.files import convert, read_json, write_json
from teaching.lessons import MEASURED


@dataclass(frozen=True)
class Measured:
    """By notebook (`01_degradation`).

    seconds: of processor time that its execution took, on one thread. conclusions: what each one
    concludes, in its words, a number a seed, from seed 0 on.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    conclusions: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def read_measured(path: Path = MEASURED) -> Measured:
    """Raises UserError for a file that cannot be read or holds anything else."""
    return convert(read_json(path), Measured, path)


def write_measured(measured: Measured, path: Path = MEASURED) -> None:
    """Write it, whole or not at all."""
    write_json(path, asdict(measured))
