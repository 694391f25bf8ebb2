"""A notebook and its solutions, executed in one kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from resnet_repro.errors import UserError
from teaching.lessons import OPEN, Notebook, printed, read, solution_of, with_seed

SECONDS = 3 * 3600  # of one cell, on a machine that has much else to do


@dataclass(frozen=True)
class Executed:
    """A notebook and its solutions with their outputs, and what the notebook took.

    checked: what the exercises' check said to the solutions; refused: to each wrong answer.
    """

    notebook: Notebook
    solution: Notebook
    seconds: float  # of processor time, imports among them
    checked: str
    refused: Mapping[str, str]


def execute(lesson: Path, seed: int = 0, wrong: Mapping[str, str] | None = None) -> Executed:
    """Execute a notebook with its exercises open, then its solutions in the same kernel.

    The solutions' first cell, which runs the notebook, is left out; after the last one the cell
    that checks the exercises is run again, and once for each of `wrong`, a name with an answer,
    the others left open. Raises nbclient's CellExecutionError for a cell that fails otherwise.
    """
    whole, solution = with_seed(read(lesson), seed), read(solution_of(lesson))
    own = len(whole.cells)
    (asked,) = [i for i, cell in enumerate(whole.cells) if is_open(cell)]
    check = whole.cells[asked + 1].source
    clock = _cell("import time\nprint(time.process_time())")
    again = _cell(check)
    tries = {}
    for name, answer in (wrong or {}).items():
        opened = "\n".join(f"{other} = ..." for other in OPEN.findall(whole.cells[asked].source))
        tries[name] = _cell(f"{opened}\n{name} = {answer}\n{check}")
        tries[name].metadata.tags = ["raises-exception"]
    whole.cells += [clock, *solution.cells[_first_answer(solution) :], again, *tries.values()]
    client = NotebookClient(whole, timeout=SECONDS, resources={"metadata": {"path": lesson.parent}})
    with client.setup_kernel():
        for i, cell in enumerate(whole.cells):
            client.execute_cell(cell, i)
    whole.cells = whole.cells[:own]
    for notebook in (whole, solution):
        _number(notebook)
    return Executed(
        whole,
        solution,
        float(printed(clock)),
        printed(again),
        {name: _error(cell) for name, cell in tries.items()},
    )


def _cell(source: str) -> Any:
    return nbformat.v4.new_code_cell(source)  # type: ignore[no-untyped-call]


def _error(cell: Any) -> str:
    return "".join(output.evalue for output in cell.outputs if output.output_type == "error")


def is_open(cell: Any) -> bool:
    """Whether this is the cell that leaves its answers to the reader."""
    return cell.cell_type == "code" and bool(OPEN.search(cell.source))


def _first_answer(solution: Notebook) -> int:
    for i, cell in enumerate(solution.cells):
        if cell.cell_type == "code":
            if not cell.source.startswith("%run "):
                break
            return i + 1
    raise UserError("solutions begin with a cell that runs their notebook")


def _number(notebook: Notebook) -> None:
    """Count the cells as if the notebook had been run alone."""
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
