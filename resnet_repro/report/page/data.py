"""The numbers of the page's charts, each in it once: what the runs measured, the paper's curves."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from resnet_repro.records.schema import RunId
from resnet_repro.report.load.frames import LABELS, Frames, Run

LONG_TABLES = ("metrics", "gradients", "layers")
ERRORS = ("iteration", "train_error", "test_error")
MOST_ROWS = 500  # of a curve: a chart is about as many pixels wide
MOST_NUMBERS = 500_000  # on the page, seven bytes each
_COLUMNS = 20  # of a run with all its columns


@dataclass
class ChartData:
    """`runs`: a run's tables as columns, with its schedule; `paper`: the paper's curves by name."""

    runs: list[dict[str, Any]]
    paper: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def index(self, run: Run) -> int:
        """The place in `runs` of one of Frames.runs."""
        return self.places[run.labels]

    def stages(self, runs: Sequence[int]) -> list[str]:
        """The stages whose gradients any of the runs recorded, first to last."""
        names: dict[str, None] = {}
        for run in runs:
            for name, values in self.runs[run]["gradients"].items():
                if name != "iteration" and any(v is not None for v in values):
                    names.setdefault(name)
        return sorted(names, key=lambda name: (name == "fc", name))

    def has_layers(self, run: int) -> bool:
        return bool(self.runs[run]["layers"].get("std"))

    def add_paper(self, key: str, x: pd.Series, y: pd.Series, schedule: int) -> str:
        """Take in a curve of the paper; schedule: the iterations of its training, 0 for layers."""
        self.paper[key] = {"x": x.tolist(), "y": _numbers(y), "schedule": schedule}
        return key


def read_data(
    frames: Frames, runs: Sequence[Run], anchors: Sequence[str], detailed: Collection[RunId]
) -> ChartData:
    """The tables of these runs; anchors: of their sections.

    detailed: runs with all their columns; of the others there are the errors. Rows are thinned so
    that the numbers of all runs stay below MOST_NUMBERS, and to what a screen shows.
    """
    most = _most_rows(len(detailed), len(runs) - len(detailed))
    parts: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for name in LONG_TABLES:
        frame = getattr(frames, name)
        columns = [c for c in frame.columns if c not in LABELS]
        parts[name] = {}
        for key, rows in frame.groupby(list(LABELS), sort=False):
            whole = RunId(*key) in detailed
            if whole or name == "metrics":
                kept = rows.iloc[thinned(len(rows), most)]
                parts[name][key] = {c: _numbers(kept[c]) for c in columns if whole or c in ERRORS}
    found: list[dict[str, Any]] = []
    places: dict[tuple[Any, ...], int] = {}
    for run, anchor in zip(runs, anchors, strict=True):
        key = run.labels
        places[key] = len(found)
        tables = {name: parts[name].get(key, {}) for name in LONG_TABLES}
        # A CIFAR network has no fourth stage; its column is empty throughout.
        tables["gradients"] = {
            column: values
            for column, values in tables["gradients"].items()
            if any(v is not None for v in values)
        }
        found.append({"id": anchor, "schedule": run.schedule, **tables})
    return ChartData(found, places=places)


def _most_rows(detailed: int, others: int) -> int:
    """How many rows of each run there is room for; at least 16, which show a curve's shape."""
    columns = _COLUMNS * detailed + len(ERRORS) * others
    return max(16, min(MOST_ROWS, MOST_NUMBERS // max(1, columns)))


def thinned(rows: int, most: int) -> list[int]:
    """Places of at most `most` rows, evenly spread, the first and the last among them."""
    if rows <= most:
        return list(range(rows))
    return [round(i * (rows - 1) / (most - 1)) for i in range(most)]


def _numbers(values: Iterable[Any]) -> list[Any]:
    """Numbers as JSON holds them: six digits, None for what is not finite; text as it is."""
    return [_number(v) for v in (values.tolist() if isinstance(values, pd.Series) else values)]


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def script_json(value: object) -> str:
    """JSON that can stand in a script element: nothing in it ends the element or opens another.

    Raises ValueError for what is not finite.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
