"""What other public copies of the CIFAR-10 ResNets report, from copies.csv beside this module.

Every number was read in the file or thread named beside it. What that source, or the code beside
it, does not say is `not stated`: a number chosen by its test error flatters by 0.04 to 0.3
points (docs/deviations.md, 1), so which iterate it stands for decides what it is worth.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from resnet_repro.errors import UserError

ITERATES = ("last", "best test epoch", "best validation epoch", "not stated")
COLUMNS = (
    "source",
    "file",
    "arm",
    "test_error_pct",
    "which_iterate",
    "training_images",
    "schedule",
    "note",
)


@dataclass(frozen=True)
class Copy:
    """A network's test error in %, as another repository reports it."""

    source: str  # the repository on GitHub: owner/name
    file: str  # where in it, or which thread of it
    arm: str  # the name the suite gives such a network
    test_error: float
    which_iterate: str  # one of ITERATES
    training_images: int
    schedule: str
    note: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.source}"


def load_copies() -> tuple[Copy, ...]:
    """Every row of copies.csv, in its order."""
    file = resources.files("resnet_repro.paper").joinpath("copies.csv")
    return parse_copies(file.read_text(encoding="utf-8").splitlines())


def parse_copies(lines: Iterable[str]) -> tuple[Copy, ...]:
    """The copies in the lines of a CSV file. Raises UserError naming the first bad row."""
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise UserError(f"copies.csv needs the columns {', '.join(COLUMNS)}")
    copies: list[Copy] = []
    for number, row in enumerate(reader, start=1):
        problem = _problem(row)
        if problem:
            raise UserError(f"copies.csv, row {number}: {problem}")
        copy = Copy(
            row["source"],
            row["file"],
            row["arm"],
            float(row["test_error_pct"]),
            row["which_iterate"],
            int(row["training_images"]),
            row["schedule"],
            row["note"],
        )
        if any((c.source, c.file, c.arm) == (copy.source, copy.file, copy.arm) for c in copies):
            raise UserError(f"copies.csv, row {number}: {copy.source} has {copy.arm} twice")
        copies.append(copy)
    return tuple(copies)


def _problem(row: dict[str, str]) -> str:
    """What is wrong with a row; empty when nothing is."""
    if None in row or None in row.values():
        return "more or fewer cells than columns"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", row["source"]):
        return f"source {row['source']!r} is no owner/name"
    if not row["file"] or not row["schedule"]:
        return "file and schedule must be given, if only as 'not stated'"
    if not re.fullmatch(r"(plain|resnet)\d+", row["arm"]):
        return f"arm {row['arm']!r} is no CIFAR network such as resnet20"
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}", row["test_error_pct"]):
        return f"test error {row['test_error_pct']!r} is no error in % such as 8.27"
    if row["which_iterate"] not in ITERATES:
        return f"iterate {row['which_iterate']!r} is none of {', '.join(ITERATES)}"
    if row["training_images"] not in ("45000", "50000"):
        return f"{row['training_images']!r} training images, not 45000 or 50000"
    return ""
