"""How commands print: tables of plain rows, and JSON."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from resnet_repro.markup import printable

Rows = tuple[Sequence[str], Sequence[Sequence[object]]]


class _Console(Console):
    """A console whose terminal obeys no character of a text that is printed."""

    def print(self, *objects: Any, **options: Any) -> None:
        shown = (printable(o, keep="\n\t") if isinstance(o, str) else o for o in objects)
        super().print(*shown, **options)


def console(stderr: bool = False, quiet: bool = False) -> Console:
    """Standard output or standard error, as it is written to; `quiet` prints nothing.

    A COLUMNS that is no width, which rich would believe, counts as none.
    """
    environment = dict(os.environ)
    columns = environment.get("COLUMNS", "")
    if not (columns.isdecimal() and int(columns) > 0):
        environment.pop("COLUMNS", None)
    return _Console(markup=False, emoji=False, stderr=stderr, quiet=quiet, _environ=environment)


def write_what_fits() -> None:
    """Let standard output and error write out (`\\xb1`) what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
                "\t".join(printable(str(cell)) for cell in line),
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    console.print(table)
