"""Notebooks as files: their seed, what they conclude, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from resnet_repro.errors import UserError
from teaching.lessons import conclusions, lessons, read, with_seed, write


def notebook(*sources: str, printed: str = "") -> nbformat.NotebookNode:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    if printed:
        output = nbformat.v4.new_output("stream", name="stdout", text=printed)  # type: ignore[no-untyped-call]
        cells[-1].outputs = [output]
    made: nbformat.NotebookNode = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    return made


def test_a_seed_is_set_in_its_one_place() -> None:
    made = with_seed(notebook("x = 0", "SEED, ITERATIONS = 0, 150\nuse(SEED)", "SEED = 0"), 7)
    sources = [cell.source for cell in made.cells]
    assert sources == ["x = 0", "SEED, ITERATIONS = 7, 150\nuse(SEED)", "SEED = 0"]
    with pytest.raises(UserError, match="SEED"):
        with_seed(notebook("x = 0"), 1)


@pytest.mark.parametrize("lesson", lessons(), ids=lambda path: path.stem)
def test_every_notebook_has_a_seed(lesson: Path) -> None:
    changed = with_seed(read(lesson), 5)
    before = [cell.source for cell in read(lesson).cells]
    assert sum(cell.source != old for cell, old in zip(changed.cells, before, strict=True)) == 1


def test_conclusions_are_read_from_what_was_printed() -> None:
    made = notebook(
        "x", printed="Right.\nHolds: a: b, %: -1.5e-05 (more than -1, less than 2)\nnoise\n"
    )
    assert conclusions(made) == {"a: b, %": (-1.5e-05, "more than -1, less than 2")}
    twice = notebook("x", printed="Holds: a: 1 (less than 2)\nHolds: a: 1 (less than 2)\n")
    with pytest.raises(UserError, match="same words"):
        conclusions(twice)


def test_what_an_execution_leaves_behind_is_not_written(tmp_path: Path) -> None:
    made = notebook("x", printed="text\n")
    made.metadata = {"widgets": {}}
    made.cells[0].metadata = {"execution": {"iopub.status.busy": "2026-01-01"}}
    write(tmp_path / "a.ipynb", made)
    first = (tmp_path / "a.ipynb").read_bytes()
    assert b"2026" not in first
    assert b"widgets" not in first
    write(tmp_path / "a.ipynb", read(tmp_path / "a.ipynb"))
    assert (tmp_path / "a.ipynb").read_bytes() == first
    (tmp_path / "b.ipynb").write_text("{")
    with pytest.raises(UserError, match="not a notebook"):
        read(tmp_path / "b.ipynb")


@pytest.mark.parametrize("missing", [True, False])
def test_every_notebook_installs_the_package_first_where_it_is_missing(
    missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a hosted service a notebook has nothing but its own file."""
    first = [next(c for c in read(path).cells if c.cell_type == "code") for path in lessons()]
    (source,) = {cell.source for cell in first}
    manager = pytest.importorskip("IPython.core.inputtransformer2").TransformerManager()
    ran: list[tuple[str, str]] = []
    names: dict[str, object] = {
        "input": lambda words: "https://example.org/repository",
        "get_ipython": lambda: SimpleNamespace(
            run_line_magic=lambda name, line: ran.append((name, line))
        ),
    }
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if missing else object())
    exec(manager.transform_cell(source), names)
    # IPython fills in {repository} itself.
    assert ran == ([("pip", 'install -q "git+{repository}"')] if missing else [])
    assert names.get("repository") == ("https://example.org/repository" if missing else None)
