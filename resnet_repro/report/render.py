"""Tables as text, Markdown and LaTeX. One input gives one output, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.paper.published import PublishedValue
from resnet_repro.records.datasets import PHOTOGRAPHS
from resnet_repro.records.metrics import COUNTED, METRICS
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.notes import degrees_text
from resnet_repro.report.tables import Row, SideBySide, Table
from resnet_repro.report.verdicts.joint import Joint
from resnet_repro.report.verdicts.rule import Comparison


def metric_words(metric: str, dataset: str) -> str:
    """A metric with its unit; of photographs also which error the run's own test gives."""
    if metric == "test_error" and dataset in PHOTOGRAPHS:
        return "top-1 error, centre crop, %"
    return METRICS[metric].title


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


def _claimed(metric: str, dataset: str) -> str:
    """What a claim about it compares: of gradients each stage's, by the norms' logarithms."""
    if metric == "gradient_norm":
        return "log10 of each stage's gradient norm times its weights' norm"
    return metric_words(metric, dataset)


@dataclass(frozen=True)
class Grid:
    """Cells as text, ready for any markup."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grid(rows: Sequence[Row]) -> Grid:
    """The columns a reader gets; one that is empty throughout is left out."""
    return _grid(
        (
            "arm",
            "metric",
            "published",
            "recorded",
            "difference",
            "verdict",
            "protocol",
            "best seed",
        ),
        [
            (
                row.arm,
                metric_words(row.metric, row.dataset),
                published_text(row.published, row.metric),
                recorded_text(row.ours, row.metric),
                difference_text(row.ours.difference, row.ours.half_width),
                "quoted, not run here" if row.quoted else row.ours.verdict,
                row.protocol,
                best_text(row),
            )
            for row in rows
        ],
    )


def claims_grid(rows: Sequence[ClaimRow]) -> Grid:
    """Claims as columns of text."""
    return _grid(
        ("claim", "metric", "higher", "lower", "difference", "over", "verdict", "protocol", "n"),
        [
            (
                row.claim.text,
                _claimed(row.claim.metric, row.dataset),
                _side(row.claim.higher, row.higher_mean, row.claim.metric),
                _side(row.claim.lower, row.lower_mean, row.claim.metric),
                claim_difference_text(row),
                row.result.detail,
                row.result.label,
                row.protocol,
                _runs_text(row.result.n),
            )
            for row in rows
        ],
    )


def side_by_side_grid(rows: Sequence[SideBySide]) -> Grid:
    """Published, recorded and yours, each with its verdict."""
    return _grid(
        ("arm", "metric", "protocol", "published", "recorded", "verdict", "yours", "your verdict"),
        [
            (
                both.recorded.arm,
                metric_words(both.recorded.metric, both.recorded.dataset),
                both.recorded.protocol,
                published_text(both.recorded.published, both.recorded.metric),
                recorded_text(both.recorded.ours, both.recorded.metric),
                both.recorded.ours.verdict,
                recorded_text(both.yours.ours, both.yours.metric),
                both.yours.ours.verdict,
            )
            for both in rows
        ],
    )


def _grid(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Grid:
    used = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    return Grid(tuple(columns[i] for i in used), tuple(tuple(row[i] for i in used) for row in rows))


def published_text(value: PublishedValue | None, metric: str) -> str:
    """`6.61 ± 0.16 (n = 5)`, `0.27 M`, `3.6 billion`, `9.68 (read off Fig. 6)`.

    Empty without a value.
    """
    if value is None:
        return ""
    text = value.text + METRICS[metric].printed
    if value.std is not None:
        text += f" ± {value.std:.2f}"
    if value.n > 1:
        text += f" (n = {value.n})"
    return f"{text} ({value.where})" if value.read_off else text


def recorded_text(ours: Comparison, metric: str) -> str:
    """`8.79 ± 0.12 (n = 3)`, `269,722`; empty without a mean."""
    if ours.mean is None:
        return ""
    if metric in COUNTED:
        return f"{ours.mean:,.0f}"
    spread = "" if ours.std is None else f" ± {ours.std:.2f}"
    return f"{ours.mean:.2f}{spread} (n = {ours.n})"


def difference_text(difference: float | None, half_width: float | None) -> str:
    """`+0.16 ± 0.63`, in points."""
    if difference is None:
        return ""
    text = "0.00" if abs(difference) < 0.005 else f"{difference:+.2f}"
    return text if half_width is None else f"{text} ± {half_width:.2f}"


def claim_difference_text(row: ClaimRow) -> str:
    """A claim's difference in its metric's unit; counts without decimals."""
    difference = row.result.difference
    if difference is not None and row.result.exact:
        return f"{difference:+,.0f}"
    return difference_text(difference, row.result.half_width)


def _runs_text(n: tuple[int, int]) -> str:
    """`3`, or `3, 1` where the two sides have not as many; a side that is a number has none."""
    higher, lower = n
    return f"{higher}, {lower}" if higher and lower and higher != lower else str(higher or "")


def best_text(row: Row) -> str:
    """The best of our seeds beside the best the paper prints, where it prints one."""
    value = row.published_best
    if value is None:
        return ""
    published = f"published {value.text} of {value.n}"
    if row.ours.best is None:
        return published
    return f"{row.ours.best:.2f} of {row.ours.n}; {published}"


def _side(name: str, mean: float | None, metric: str) -> str:
    if mean is None:
        return name
    if not name:
        return f"{mean:,g}"  # the claim's own number, as it is written there
    return f"{name} {mean:,.0f}" if metric in COUNTED else f"{name} {mean:.2f}"


def markdown_grid(cells: Grid) -> str:
    """A GitHub table."""
    lines = [cells.columns, ("---",) * len(cells.columns), *cells.rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def markdown(table: Table) -> str:
    """The artifact's table, claims and notes as a page of Markdown."""
    artifact = table.artifact
    parts = [
        f"# {artifact.title}\n",
        f"{artifact.says} ({artifact.section})\n",
        f"{table.caption}\n",
        markdown_grid(grid(table.rows)),
    ]
    if table.joint:
        parts.append(f"{joint_text(table.joint)}\n")
    if table.claims:
        parts += ["## Claims\n", markdown_grid(claims_grid(table.claims))]
    return "\n".join([*parts, *(f"{note}\n" for note in table.notes)])


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "±": r"$\pm$",
}


def latex_escape(text: str) -> str:
    """Text as LaTeX prints it; a number's minus sign becomes one."""
    escaped = "".join(_LATEX.get(c, c) for c in text)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)


def latex(table: Table) -> str:
    """The artifact's table for a document that loads booktabs."""
    caption = f"{table.artifact.title}. {table.caption} {joint_text(table.joint)}".strip()
    return latex_grid(grid(table.rows), caption, f"tab:{table.artifact.name}")


def latex_grid(cells: Grid, caption: str, label: str) -> str:
    """A table environment with booktabs' rules."""
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{latex_escape(caption)}}}"]
    lines += [rf"\label{{{label}}}", rf"\begin{{tabular}}{{{'l' * len(cells.columns)}}}"]
    head, *body = [
        " & ".join(latex_escape(cell) for cell in line) + r" \\"
        for line in (cells.columns, *cells.rows)
    ]
    lines += [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", r"\end{table}", ""])
