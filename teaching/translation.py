"""The notebooks and the guide in other languages, from one source.

A message is a paragraph of a notebook's prose or of the guide. Their translations stand in a
gettext catalogue, edited by hand; code, outputs and numbers are taken over as they are.
"""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from resnet_repro.records.files import write_atomic
from teaching.guide import GUIDE, HEAD, MARKER, in_language, table
from teaching.lessons import NOTEBOOKS, ROOT, Notebook, lessons, read, solution_of

HEADER = "# What the notebooks and the guide say. `make translations` renews it."
LANGUAGES = ("zh_CN",)
_START, _END = f"<!-- {MARKER}:start -->", f"<!-- {MARKER}:end -->"
_TABLE = re.compile(f"{_START}.*?{_END}", re.DOTALL)
# What must be the same in every language: numbers, formulas, code and where links lead, but for
# the guide's own to its other languages.
_SAME = re.compile(r"\$\$?[^$]+\$\$?|`[^`]+`|\]\((?!teaching)[^)]+\)|\d[\d.,]*\d|\d")


def catalogue_of(language: str) -> Path:
    """Where a language's translations are edited."""
    return NOTEBOOKS / language / "notebooks.po"


def sources() -> list[Path]:
    """The notebooks and solutions in English."""
    return [path for lesson in lessons() for path in (lesson, solution_of(lesson))]


def paragraphs(text: str) -> list[str]:
    """The messages of a text in Markdown: what stands between blank lines, no formula or code."""
    return [p for p in text.split("\n\n") if p.strip() and not p.startswith(("$$", "    "))]


def messages() -> Iterator[tuple[str, str]]:
    """Every message, with the file it is from."""
    for path in sources():
        for cell in read(path).cells:
            if cell.cell_type == "markdown":
                for part in paragraphs(cell.source):
                    yield part, path.relative_to(ROOT).as_posix()
    yield HEAD, "teaching/guide.py"
    for part in paragraphs(_TABLE.sub("", GUIDE.read_text(encoding="utf-8"))):
        yield part, GUIDE.relative_to(ROOT).as_posix()


def fixed_parts(text: str) -> list[str]:
    """What a translation must hold as often as its original, sorted."""
    return sorted(found.strip(".,") for found in _SAME.findall(text))


def renew(*, check: bool) -> list[str]:
    """Renew catalogues, notebooks and guide of every language; returns what is wrong.

    check: write nothing, and name what would be written.
    """
    problems = []
    for language in LANGUAGES:
        found = _renewed(language)
        told = {str(m.id): str(m.string) for m in found if m.id}
        for original, translated in told.items():
            if not translated:
                problems.append(f"{language}: not translated: {original[:90]!r}")
            elif fixed_parts(original) != fixed_parts(translated):
                problems.append(f"{language}: other numbers, code or links: {original[:90]!r}")
        text = io.BytesIO()
        write_po(text, found, omit_header=True, width=96)
        files = {catalogue_of(language): f"{HEADER}\n{_HEAD}{text.getvalue().decode()}".encode()}

        def say(part: str, told: dict[str, str] = told) -> str:
            return told.get(part) or part

        for path in sources():
            place = NOTEBOOKS / language / path.relative_to(NOTEBOOKS)
            made: str = nbformat.writes(translated_notebook(read(path), say))  # type: ignore[no-untyped-call]
            files[place] = f"{made.rstrip()}\n".encode()
        files[in_language(language)] = translated_guide(language, say).encode()
        for place, content in files.items():
            if place.exists() and place.read_bytes() == content:
                continue
            if check:
                problems.append(f"{place.relative_to(ROOT)}: out of date: run make translations")
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(place, content)
    return problems


_HEAD = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'


def translated_text(text: str, say: Callable[[str], str]) -> str:
    """A text with each of its paragraphs said by `say`."""
    return "\n\n".join(say(part) for part in text.split("\n\n"))


def translated_notebook(notebook: Notebook, say: Callable[[str], str]) -> Notebook:
    """A copy whose prose is said by `say`."""
    new = copy.deepcopy(notebook)
    for cell in new.cells:
        if cell.cell_type == "markdown":
            cell.source = translated_text(cell.source, say)
    return new


def translated_guide(language: str, say: Callable[[str], str]) -> str:
    """The guide, its links leading to the notebooks of that language where there are such."""
    head, _, tail = GUIDE.read_text(encoding="utf-8").rstrip("\n").partition(_START)
    tail = tail.partition(_END)[2]
    text = f"{translated_text(head, say)}{_START}\n{table(say)}\n{_END}{translated_text(tail, say)}"
    return text.replace("](../notebooks/", f"](../notebooks/{language}/") + "\n"


def _renewed(language: str) -> Catalog:
    """The messages with the translations that the catalogue has of them."""
    path = catalogue_of(language)
    old = read_po(io.BytesIO(path.read_bytes() if path.exists() else b""), locale=language)
    new = Catalog(locale=language, charset="utf-8", fuzzy=False)
    for text, place in messages():
        told = old.get(text)
        added = new.add(text, str(told.string) if told else "", locations=[(place, 0)])
        added.flags.clear()  # a percent sign makes no format
    return new
