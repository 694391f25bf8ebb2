"""Charts of single values: a table's errors by arm, and the bars of Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.colors import to_hex

from resnet_repro.records.metrics import METRICS
from resnet_repro.report.plots.style import palette
from resnet_repro.report.tables import ResultRow, Table

Chart = dict[str, Any]
Tag = dict[str, str]  # a line's name, or the key of a text, and how it is drawn


ASIDE = 0.14  # of the room a network has: so far points stand apart, or bars would hide bars


def empty_chart(name: str, title: str, x: str, y: str, *, log: bool = False) -> Chart:
    """A chart without lines; title, x and y are keys of texts."""
    return {
        "id": f"chart-{name}",
        "title": title,
        "x": x,
        "y": y,
        "log": log,
        "group": name,  # charts of one group share their scale
        "factors": [],
        "lines": [],
    }


def values(table: Table) -> list[Chart]:
    """A table's errors by arm, published and recorded, a chart a metric."""
    rows = [row for row in table.rows if not row.quoted and METRICS[row.metric].unit == "%"]
    metrics = dict.fromkeys(row.metric for row in rows if row.published is not None)
    found = []
    for metric in metrics:
        here = [row for row in rows if row.metric == metric]
        if sum(row.published is not None for row in here) > 1:
            found.append(_points(table.artifact.name, metric, here))
    return found


def _points(name: str, metric: str, rows: Sequence[ResultRow]) -> Chart:
    chart = empty_chart(f"{name}-{metric}", metric, "network", "error")
    arms = list(dict.fromkeys(row.arm for row in rows))
    names = {row.arm: row.published.row for row in reversed(rows) if row.published}
    chart["categories"] = [names.get(arm, arm) for arm in arms]
    protocols = list(dict.fromkeys(row.protocol for row in rows if row.ours.mean is not None))
    hues = palette()
    chart["factors"] = [
        [
            {"key": "published", "mark": "ring", "colour": "ink"},
            *(
                {"key": "recorded", "name": p, "mark": "dot", "colour": to_hex(hue)}
                for p, hue in zip(protocols, hues, strict=False)
            ),
        ]
    ]
    published = {
        arms.index(r.arm): [arms.index(r.arm), r.published.value, r.published.std]
        for r in rows
        if r.published is not None
    }
    chart["lines"] = [{"tags": [0], "points": list(published.values())}]
    for i, protocol in enumerate(protocols, 1):
        points = [
            [arms.index(r.arm) + ASIDE * i, r.ours.mean, r.ours.std]
            for r in rows
            if r.protocol == protocol and r.ours.mean is not None
        ]
        chart["lines"].append({"tags": [i], "points": points})
    return chart


def bars(table: Table) -> Chart:
    """Table 1: a bar a network for its multiply-adds as counted, a ring for the printed value."""
    rows = [row for row in table.rows if row.metric == "flops" and not row.quoted]
    chart = empty_chart(table.artifact.name, "multiply_adds", "network", "billions")
    chart["categories"] = [row.published.row if row.published else row.network for row in rows]
    chart["factors"] = [
        [
            {"key": "counted", "mark": "bar", "colour": to_hex(palette()[0])},
            {"key": "published", "mark": "ring", "colour": "ink"},
        ]
    ]
    chart["lines"] = [
        {
            "tags": [0],
            "points": [
                [i, row.ours.mean / 1e9, None]
                for i, row in enumerate(rows)
                if row.ours.mean is not None
            ],
        },
        {
            "tags": [1],
            "points": [
                [i, row.published.value, None] for i, row in enumerate(rows) if row.published
            ],
        },
    ]
    return chart
