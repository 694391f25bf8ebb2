"""Cells as text, and their markup: Markdown and LaTeX."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Cells as text, ready for any markup."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown_grid(cells: Grid) -> str:
    """A GitHub table."""
    lines = [cells.columns, ("---",) * len(cells.columns), *cells.rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


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
