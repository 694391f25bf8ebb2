"""Every notebook runs, its conclusions hold, and its exercises tell right answers from wrong ones.

A notebook is executed once, with its exercises open as a reader finds them; then its cell of
exercises is executed again in the same kernel with answers put in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.conftest import REPO

NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
SECONDS = 300  # of one cell, on a slow machine
OPEN = re.compile(r"^(\w+) = \.\.\.", re.MULTILINE)

# Name -> a right answer, which may ask the package, and a wrong one.
ANSWERS: dict[str, dict[str, tuple[str, str]]] = {
    "01": {
        "added_parameters": (
            'counted["plain56-w8"].parameters - counted["plain20-w8"].parameters',
            "36",
        ),
        "gap": ('test["plain56-w8"] - final["plain56-w8"]', "60.0"),
    },
    "02": {
        "change": ("0.5", "0.1"),
        "behind": ('{"layer2": [0], "layer3": [2, 2]}', '{"layer2": [3]}'),
        "output": ("0.0", "-2.0"),
    },
    "03": {
        "projections_b": ("2", "3"),
        "projections_c": ("21", "'21'"),
        "added": ("16 * 32 + 2 * 32 + 32 * 64 + 2 * 64", "16 * 32 + 32 * 64"),
        "ratio": ("1 / 9", "1 / 3"),
    },
    "04": {
        "blocks_needed": (
            "[value < 0.5 for value in near['plain20-w8']].index(True) + 1",
            "[value < 0.5 for value in near['plain20-w8']].index(True)",
        ),
        "steps_to_zero": ("round(POINTS * (1 - (1 / 3) ** 0.5) / 2)", "POINTS // 4"),
        "plain_depth": ("8", "56"),
    },
    "05": {
        "paths_left": ("2**14", "14"),
        "most_missed": ("max(residual.deleted, key=residual.deleted.get)", "'the last'"),
        "two_blocks": (
            "sorted(residual.deleted, key=residual.deleted.get)[:2]",
            "sorted(residual.deleted, key=residual.deleted.get)[-2:]",
        ),
    },
    "06": {
        "added": ("list(range(3, 20, 2))", "[2, 4]"),
        "part": ("0.9", "0.75"),
        "loudest": (
            "min(paths[residual], key=lambda block: block.share).name",
            "max(paths[residual], key=lambda block: block.share).name",
        ),
    },
    "07": {
        "values": ("(7.9, 8.0, 7.8)", "(7.9, 8.0)"),
        "enough": (
            "min(n for n in range(1, 50) if verdict_of(0.1, prior, n, 1) == 'reproduced')",
            "1",
        ),
        "flattered_by": ("fmean(last.values()) - min(best.values())", "-1.0"),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_its_exercises_check_themselves(path: Path) -> None:
    answers = ANSWERS[path.stem[:2]]
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    (place,) = [i for i, cell in enumerate(notebook.cells) if OPEN.search(cell.source)]
    source = notebook.cells[place].source
    assert set(OPEN.findall(source)) == set(answers)
    client = NotebookClient(
        notebook, timeout=SECONDS, resources={"metadata": {"path": path.parent}}
    )
    with client.setup_kernel():
        for i, cell in enumerate(notebook.cells):
            client.execute_cell(cell, i)
        assert printed(notebook.cells[place]).count("Open: ") == len(answers)

        def answered(given: Mapping[str, str]) -> str:
            text = OPEN.sub(lambda m: f"{m[1]} = {given.get(m[1], '...')}", source)
            cell = nbformat.v4.new_code_cell(text)  # type: ignore[no-untyped-call]
            client.execute_cell(cell, place)
            return printed(cell)

        right = answered({name: right for name, (right, _) in answers.items()})
        assert right.count("Right.") == len(answers), right
        for name, (_, wrong) in answers.items():
            with pytest.raises(CellExecutionError, match="not yet: "):
                answered({name: wrong})


def printed(cell: Any) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_the_parts_a_reader_expects(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert words.startswith("# ")
    for part in ("predict:**", "## The answer", "## Exercises"):
        assert part in words
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert "show(" in code  # a picture
    assert "assert " in code
    assert not any(cell.get("outputs") for cell in notebook.cells)
