"""Notebooks and guide say the same in every language, with the same code, outputs and numbers."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
import pytest

from teaching import guide, translation
from teaching.lessons import NOTEBOOKS, read

PAIRS = pytest.mark.parametrize(
    ("path", "language"),
    [(path, language) for language in translation.LANGUAGES for path in translation.sources()],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)


def differences(one: Path, other: Path) -> list[str]:
    """Where two languages of a notebook have come apart in code, outputs or numbers."""
    first, second = read(one).cells, read(other).cells
    found = [] if len(first) == len(second) else ["number of cells"]
    for n, (a, b) in enumerate(zip(first, second, strict=False)):
        if a.cell_type != b.cell_type:
            found.append(f"kind of cell {n}")
        elif a.cell_type == "code":
            if (a.source, a.outputs) != (b.source, b.outputs):
                found.append(f"code or outputs of cell {n}")
        elif translation.fixed_parts(a.source) != translation.fixed_parts(b.source):
            found.append(f"numbers, formulas or links of cell {n}")
    return found


@PAIRS
def test_a_notebook_is_the_same_in_every_language(path: Path, language: str) -> None:
    assert differences(path, NOTEBOOKS / language / path.relative_to(NOTEBOOKS)) == []


def test_what_has_come_apart_is_found(tmp_path: Path) -> None:
    path = translation.sources()[0]
    for change in ("a number", "code", "a cell"):
        notebook = copy.deepcopy(read(path))
        prose = next(cell for cell in notebook.cells if "1,437" in cell.source)
        code = next(cell for cell in notebook.cells if "NETWORKS = " in cell.source)
        if change == "a number":
            prose.source = prose.source.replace("1,437", "1,473")
        elif change == "code":
            code.source += "\n"
        else:
            notebook.cells.pop()
        other = tmp_path / "other.ipynb"
        nbformat.write(notebook, other)  # type: ignore[no-untyped-call]
        assert len(differences(path, other)) == 1, change


def test_everything_is_translated_and_up_to_date() -> None:
    assert [*guide.renew(check=True), *translation.renew(check=True)] == []


@pytest.mark.parametrize(
    ("english", "other", "same"),
    [
        ("a rate of 0.03, then 0.1.", "先 0.03 后 0.1。", True),
        ("a rate of 0.03", "0.3", False),
        ("see `plot`", "看 `show`", False),
        ("[here](a.ipynb)", "[这里](b.ipynb)", False),
        ("$y = F(x)$", "$y = x$", False),
    ],
)
def test_numbers_code_links_and_formulas_must_be_the_same(
    english: str, other: str, same: bool
) -> None:
    assert (translation.fixed_parts(english) == translation.fixed_parts(other)) is same


def test_prose_is_said_a_paragraph_at_a_time_and_code_is_left_alone() -> None:
    text = "One.\n\n$$y = x$$\n\n    make teach\n\nTwo."
    assert translation.paragraphs(text) == ["One.", "Two."]

    def say(part: str) -> str:
        return {"One.": "1", "Two.": "2"}.get(part, part)

    said = translation.translated_text(text, say)
    assert said == "1\n\n$$y = x$$\n\n    make teach\n\n2"
