"""What other public copies of the CIFAR-10 ResNets report, from CSV files beside this module.

other_reproductions.csv has what they ended with; other_reproductions_start.csv where they stood at
the iteration at which the protocol `short` first lowers the rate, or close to it.

Every number was read in the file or thread named beside it. What that source, or the code beside
it, does not say is `not stated`: a number chosen by its test error flatters by 0.04 to 0.3
points (docs/deviations.md, 1), so which iterate it stands for decides what it is worth.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from resnet_repro.errors import UserError
from resnet_repro.messages import _

ITERATES = (_("last"), _("best test epoch"), _("best validation epoch"), _("not stated"))
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
START_COLUMNS = (
    "source",
    "commit",
    "file",
    "arm",
    "iteration",
    "train_error_pct",
    "test_error_pct",
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


@dataclass(frozen=True)
class ReproductionStart:
    """A network's errors in % early in its training at the rate of 0.1, as a repository's log has.

    train_error: None where the log has no more than single batches.
    """

    source: str
    commit: str  # whose file was read
    file: str
    arm: str
    iteration: int
    train_error: float | None
    test_error: float
    note: str

    @property
    def url(self) -> str:
        return f"https://github.com/{self.source}/blob/{self.commit}/{self.file}"


def load_reproductions() -> tuple[Copy, ...]:
    """Every row of other_reproductions.csv, in its order."""
    return parse_reproductions(_lines("other_reproductions.csv"))


def load_starts() -> tuple[ReproductionStart, ...]:
    """Every row of other_reproductions_start.csv, in its order."""
    return parse_starts(_lines("other_reproductions_start.csv"))


def _lines(name: str) -> list[str]:
    file = resources.files("resnet_repro.paper").joinpath(name)
    return file.read_text(encoding="utf-8").splitlines()


def parse_reproductions(lines: Iterable[str]) -> tuple[Copy, ...]:
    """The copies in the lines of a CSV file. Raises UserError naming the first bad row."""
    rows = _rows("other_reproductions.csv", lines, COLUMNS, ("source", "file", "arm"), _problem)
    return tuple(
        Copy(
            row["source"],
            row["file"],
            row["arm"],
            float(row["test_error_pct"]),
            row["which_iterate"],
            int(row["training_images"]),
            row["schedule"],
            row["note"],
        )
        for row in rows
    )


def parse_starts(lines: Iterable[str]) -> tuple[ReproductionStart, ...]:
    """The rows in the lines of a CSV file. Raises UserError naming the first bad row."""
    rows = _rows(
        "other_reproductions_start.csv", lines, START_COLUMNS, ("source", "arm"), _start_problem
    )
    return tuple(
        ReproductionStart(
            row["source"],
            row["commit"],
            row["file"],
            row["arm"],
            int(row["iteration"]),
            float(row["train_error_pct"]) if row["train_error_pct"] else None,
            float(row["test_error_pct"]),
            row["note"],
        )
        for row in rows
    )


def _rows(
    name: str,
    lines: Iterable[str],
    columns: Sequence[str],
    key: Sequence[str],
    problem: Callable[[dict[str, str]], str],
) -> list[dict[str, str]]:
    """The rows of a file that has these columns, no problem, and no two rows of one key."""
    reader = csv.DictReader(lines)
    if tuple(reader.fieldnames or ()) != tuple(columns):
        raise UserError(f"{name} needs the columns {', '.join(columns)}")
    rows: list[dict[str, str]] = []
    for number, row in enumerate(reader, start=1):
        wrong = problem(row)
        if not wrong and any(all(row[k] == other[k] for k in key) for other in rows):
            wrong = f"{row['source']} has {row['arm']} twice"
        if wrong:
            raise UserError(f"{name}, row {number}: {wrong}")
        rows.append(row)
    return rows


def _start_problem(row: dict[str, str]) -> str:
    """What is wrong with a row of other_reproductions_start.csv; empty when nothing is."""
    problem = _source_problem(row)
    if problem:
        return problem
    if not re.fullmatch(r"[0-9a-f]{40}", row["commit"]):
        return f"commit {row['commit']!r} is no commit's 40 digits"
    if not re.fullmatch(r"[1-9]\d{0,4}", row["iteration"]):
        return f"iteration {row['iteration']!r} is no number such as 4000"
    return _error_problem("training error", row["train_error_pct"] or "0.0")


def _source_problem(row: dict[str, str]) -> str:
    """What is wrong with what both files have; empty when nothing is."""
    if None in row or None in row.values():
        return "more or fewer cells than columns"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", row["source"]):
        return f"source {row['source']!r} is no owner/name"
    if not row["file"]:
        return "file must be given"
    if not re.fullmatch(r"(plain|resnet)\d+", row["arm"]):
        return f"arm {row['arm']!r} is no CIFAR network such as resnet20"
    return _error_problem("test error", row["test_error_pct"])


def _error_problem(what: str, text: str) -> str:
    if re.fullmatch(r"\d{1,2}\.\d{1,2}", text):
        return ""
    return f"{what} {text!r} is no error in % such as 8.27"


def _problem(row: dict[str, str]) -> str:
    """What is wrong with a row of other_reproductions.csv; empty when nothing is."""
    problem = _source_problem(row)
    if problem:
        return problem
    if not row["schedule"]:
        return "schedule must be given, if only as 'not stated'"
    if row["which_iterate"] not in ITERATES:
        return f"iterate {row['which_iterate']!r} is none of {', '.join(ITERATES)}"
    if row["training_images"] not in ("45000", "50000"):
        return f"{row['training_images']!r} training images, not 45000 or 50000"
    return ""
