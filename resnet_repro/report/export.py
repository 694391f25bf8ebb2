"""Tables as plain values: what --json prints, and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from resnet_repro.records.metrics import COUNTED
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.tables import Row, SideBySide
from resnet_repro.report.verdicts.joint import Joint

Cell = str | int | float | bool | None


def rows_json(rows: Sequence[Row]) -> list[dict[str, Cell]]:
    """Rows as plain values, for --json and CSV; None for what is not there."""
    return [_plain(row) for row in rows]


def _plain(row: Row) -> dict[str, Cell]:
    value, best, ours = row.published, row.published_best, row.ours
    return {
        "arm": row.arm,
        "network": row.network or None,
        "dataset": row.dataset,
        "metric": row.metric,
        "protocol": row.protocol or None,
        "published": value.value if value else None,
        "published_text": value.text if value else None,
        "published_unit": value.unit if value else None,
        "published_std": value.std if value else None,
        "published_n": value.n if value else None,
        "published_where": value.where if value else None,
        "published_best": best.value if best else None,
        "recorded": _count(ours.mean) if row.metric in COUNTED else _short(ours.mean),
        "recorded_std": _short(ours.std),
        "recorded_best": _short(ours.best),
        "n": ours.n,
        "seeds": " ".join(str(s) for s in row.seeds) or None,
        "difference": _short(ours.difference),
        "half_width": _short(ours.half_width),
        "verdict": "quoted" if row.quoted else ours.verdict or None,
        "machines": "; ".join(row.machines) or None,
        "precisions": " ".join(row.precisions) or None,
    }


def claims_json(rows: Sequence[ClaimRow]) -> list[dict[str, Cell]]:
    """Claims as plain values, for --json and CSV."""
    return [
        {
            "claim": row.claim.text,
            "metric": row.claim.metric,
            "scope": row.claim.scope,
            "margin": row.claim.margin,
            "by": row.claim.by if row.claim.margin is not None else None,
            "higher": row.claim.higher,
            "lower": row.claim.lower or None,
            "protocol": row.protocol or None,
            "higher_mean": _short(row.higher_mean),
            "lower_mean": _short(row.lower_mean),
            "difference": _short(row.result.difference),
            "half_width": _short(row.result.half_width),
            "higher_n": row.result.n[0],
            "lower_n": row.result.n[1],
            "higher_seeds": " ".join(str(s) for s in row.higher_seeds) or None,
            "lower_seeds": " ".join(str(s) for s in row.lower_seeds) or None,
            "detail": row.result.detail or None,
            "verdict": row.result.verdict,
            "spread_known": row.result.exact or row.result.half_width is not None,
        }
        for row in rows
    ]


def joint_json(joint: Joint | None) -> dict[str, Any] | None:
    """A table's joint test as plain values; None without one."""
    if joint is None:
        return None
    families = [
        {
            "family": test.family,
            "arms": test.arms,
            "df": test.df,
            "f": _short(test.f) if math.isfinite(test.f) else None,
            "p": _short(test.p),
        }
        for test in joint.families
    ]
    return {
        "metric": joint.metric,
        "families": families,
        "p": _short(joint.p),
        "verdict": joint.verdict,
    }


def side_by_side_json(rows: Sequence[SideBySide]) -> list[dict[str, Cell]]:
    """Published and recorded as in `rows_json`, the user's own under names in `yours`."""
    names = ("recorded", "recorded_std", "recorded_best", "n", "seeds", "difference", "half_width")
    plain = []
    for both in rows:
        own = _plain(both.yours)
        yours = {
            name.replace("recorded", "yours") if "recorded" in name else f"yours_{name}": own[name]
            for name in (*names, "verdict")
        }
        plain.append({**_plain(both.recorded), **yours})
    return plain


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)


def _short(value: float | None) -> float | None:
    """Without the last digits of floating point, which say nothing."""
    return None if value is None else round(value, 6)


def csv_text(rows: Sequence[dict[str, Cell]]) -> str:
    """Plain values as CSV; what is not there is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
