"""An artifact's table as text: Markdown, LaTeX, CSV. One input gives one output, byte for byte."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from resnet_repro.markup import Grid, latex_grid, markdown_grid, markdown_text
from resnet_repro.messages import _, joined
from resnet_repro.records.metrics import metric_words
from resnet_repro.report.columns import CLAIMS, RESULTS, Cell, short, text_grid
from resnet_repro.report.notes import degrees_text
from resnet_repro.report.tables import Table
from resnet_repro.report.verdicts.joint import Joint

_FORMULA = ("=", "+", "-", "@", "\t")


def joint_text(joint: Joint | None) -> str:
    """The joint test of a table in one line; empty without one."""
    if joint is None:
        return ""
    tests = [
        _(
            "{family} nets F = {f:.2f} with {arms} and {degrees}, {p}",
            family=test.family,
            f=test.f,
            arms=test.arms,
            degrees=degrees_text(test.df),
            p=_p_text(test.p),
        )
        for test in joint.families
    ]
    if len(tests) > 1:
        tests.append(_("both by Fisher's method {p}", p=_p_text(joint.p)))
    return _(
        "Joint test of the differences in {metric}: {tests}: {verdict}.",
        metric=metric_words(joint.metric, joint.dataset),
        tests=joined("; ", tests),
        verdict=joint.verdict,
    )


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def markdown(table: Table, grid: Grid | None = None) -> str:
    """The artifact's table, claims and notes as a page of Markdown.

    grid: cells in place of the table's own rows.
    """
    artifact = table.artifact
    parts = [
        f"# {artifact.title}\n",
        f"{artifact.says} ({artifact.section})\n",
        f"{markdown_text(table.caption)}\n",
        markdown_grid(grid or text_grid(RESULTS, table.rows)),
    ]
    if table.joint:
        parts.append(f"{joint_text(table.joint)}\n")
    if table.claims:
        parts += ["## Claims\n", markdown_grid(text_grid(CLAIMS, table.claims))]
    return "\n".join([*parts, *(f"{markdown_text(note)}\n" for note in table.notes)])


def latex(table: Table, grid: Grid | None = None) -> str:
    """The artifact's table for a document that loads booktabs; grid as in `markdown`."""
    caption = f"{table.artifact.title}. {table.caption} {joint_text(table.joint)}".strip()
    return latex_grid(grid or text_grid(RESULTS, table.rows), caption, f"tab:{table.artifact.name}")


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
    """Plain values as CSV; what is not there is an empty cell.

    A spreadsheet would compute a text that begins as a formula does; an apostrophe goes before it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _csv_cell(value: Cell) -> Cell:
    if not isinstance(value, str):
        return value
    text = " ".join(value.splitlines())
    return f"'{text}" if text.startswith(_FORMULA) else text
