"""The notebooks as files: the lessons, their solutions, and what they conclude."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

from resnet_repro.errors import UserError
from resnet_repro.records.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
MEASURED = NOTEBOOKS / "measured.json"
OPEN = re.compile(r"^(\w+) = \.\.\.", re.MULTILINE)

Notebook = Any  # nbformat's, a dictionary with attributes

_SEED = re.compile(r"^(SEED\b.* = )0\b", re.MULTILINE)
_CONCLUSION = re.compile(r"^Holds: (.+): (\S+) \(((?:more|less) than .+)\)$", re.MULTILINE)


def lessons() -> list[Path]:
    """The notebooks in English, in their order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def solution_of(lesson: Path) -> Path:
    """Where the solutions to a notebook lie."""
    return lesson.parent / "solutions" / lesson.name


def read(path: Path) -> Notebook:
    """Raises UserError for what is no notebook."""
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise UserError(f"{path}: not a notebook: {error}") from error


def write(path: Path, notebook: Notebook) -> None:
    """Write a notebook, whole or not at all; the same content gives the same bytes."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "metadata" in output:
                output.metadata = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomic(path, f"{text.rstrip()}\n".encode())


def with_seed(notebook: Notebook, seed: int) -> Notebook:
    """The notebook with another seed in the one place that names it; changed in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and _SEED.search(cell.source):
            cell.source = _SEED.sub(lambda found: f"{found[1]}{seed}", cell.source)
            return notebook
    raise UserError("no cell sets SEED to 0")


def printed(cell: Any) -> str:
    """What a cell has printed."""
    return "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream")


def conclusions(notebook: Notebook) -> dict[str, tuple[float, str]]:
    """What a notebook's outputs conclude: words -> number and bounds."""
    text = "\n".join(printed(cell) for cell in notebook.cells if cell.cell_type == "code")
    found = [(words, float(number), bounds) for words, number, bounds in _CONCLUSION.findall(text)]
    named = {words: (number, bounds) for words, number, bounds in found}
    if len(named) != len(found):
        raise UserError("two conclusions of one notebook have the same words")
    return named
