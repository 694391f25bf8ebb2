"""An artifact's table as Markdown and LaTeX. One input gives one output, byte for byte."""

from __future__ import annotations

from resnet_repro.records.metrics import metric_words
from resnet_repro.report.columns import CLAIMS, RESULTS, text_grid
from resnet_repro.report.grid import latex_grid, markdown_grid
from resnet_repro.report.notes import degrees_text
from resnet_repro.report.tables import Table
from resnet_repro.report.verdicts.joint import Joint


def joint_text(joint: Joint | None) -> str:
    """The joint test of a table in one line; empty without one."""
    if joint is None:
        return ""
    tests = [
        f"{test.family} nets F = {test.f:.2f} with {test.arms} and {degrees_text(test.df)}, "
        f"{_p_text(test.p)}"
        for test in joint.families
    ]
    if len(tests) > 1:
        tests.append(f"both by Fisher's method {_p_text(joint.p)}")
    what = metric_words(joint.metric, joint.dataset)
    return f"Joint test of the differences in {what}: {'; '.join(tests)}: {joint.verdict}."


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def markdown(table: Table) -> str:
    """The artifact's table, claims and notes as a page of Markdown."""
    artifact = table.artifact
    parts = [
        f"# {artifact.title}\n",
        f"{artifact.says} ({artifact.section})\n",
        f"{table.caption}\n",
        markdown_grid(text_grid(RESULTS, table.rows)),
    ]
    if table.joint:
        parts.append(f"{joint_text(table.joint)}\n")
    if table.claims:
        parts += ["## Claims\n", markdown_grid(text_grid(CLAIMS, table.claims))]
    return "\n".join([*parts, *(f"{note}\n" for note in table.notes)])


def latex(table: Table) -> str:
    """The artifact's table for a document that loads booktabs."""
    caption = f"{table.artifact.title}. {table.caption} {joint_text(table.joint)}".strip()
    return latex_grid(text_grid(RESULTS, table.rows), caption, f"tab:{table.artifact.name}")
