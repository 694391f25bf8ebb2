"""What tables are for programs: a joint test as plain values, and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from resnet_repro.report.columns import Cell, short
from resnet_repro.report.verdicts.joint import Joint


def joint_json(joint: Joint | None) -> dict[str, Any] | None:
    """A table's joint test as plain values; None without one."""
    if joint is None:
        return None
    families = [
        {
            "family": test.family,
            "arms": test.arms,
            "df": test.df,
            "f": short(test.f) if math.isfinite(test.f) else None,
            "p": short(test.p),
        }
        for test in joint.families
    ]
    return {
        "metric": joint.metric,
        "families": families,
        "p": short(joint.p),
        "verdict": joint.verdict,
    }


def csv_text(rows: Sequence[dict[str, Cell]]) -> str:
    """Plain values as CSV; what is not there is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
