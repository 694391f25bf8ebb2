"""Text as it is shown: cells of tables, and their markup in Markdown and LaTeX."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Grid:
    """Cells as text, ready for any markup."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Markup(str):
    """Text that is Markdown already: a link, say. All other text comes from records."""

    __slots__ = ()


def printable(text: str, keep: str = "") -> str:
    """The text with its control characters written out (`\\x1b`), but for those to keep.

    What a file or a folder's name holds is shown and never obeyed by a terminal.
    """
    return "".join(
        character
        if unicodedata.category(character)[0] != "C" or character in keep
        else character.encode("unicode_escape").decode()
        for character in text
    )


def markdown_text(text: str) -> str:
    """Text on one line as Markdown shows it: no HTML in it, no link. Markup stays as it is."""
    if isinstance(text, Markup):
        return text
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", _one_line(text)).replace("](", "]\\(")


def markdown_grid(cells: Grid) -> str:
    """A GitHub table."""
    lines = [cells.columns, ("---",) * len(cells.columns), *cells.rows]
    return "".join(
        "| " + " | ".join(markdown_text(cell).replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )


def as_link(target: Path, folder: Path) -> str:
    """The link to a file from a page in `folder`; both resolved. Never to another site."""
    return quote(Path(os.path.relpath(target, folder)).as_posix(), safe="/+=,")


def _one_line(text: str) -> str:
    return printable(" ".join(text.splitlines()), keep="\t")


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
    escaped = "".join(_LATEX.get(c, c) for c in _one_line(text))
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
