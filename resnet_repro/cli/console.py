"""How commands print: tables of plain rows, and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = tuple[Sequence[str], Sequence[Sequence[object]]]


def console() -> Console:
    """Standard output, as it is written to."""
    return Console(markup=False, emoji=False)


def json_text(value: Any) -> str:
    """A value as indented JSON."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def print_json(value: Any) -> None:
    """Write a value to standard output as indented JSON."""
    sys.stdout.write(json_text(value))


def print_rows(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """A table on the terminal; tab-separated lines elsewhere, so that nothing is cut off."""
    if not console.is_terminal:
        for line in (columns, *rows):
            console.print(
                "\t".join(str(cell) for cell in line), highlight=False, markup=False, soft_wrap=True
            )
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console.print(table)
