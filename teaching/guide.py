"""The guide for teachers, docs/teaching.md: its table is made from what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

from resnet_repro.report.write import update_between_markers
from teaching.lessons import MEASURED, OPEN, ROOT, lessons, read, solution_of
from teaching.measured import read_measured

GUIDE = ROOT / "docs" / "teaching.md"
MARKER = "lessons"


def in_language(language: str) -> Path:
    """Where the guide lies in another language; named as the README is."""
    return GUIDE.with_suffix(f".{language.replace('_', '-')}.md")


HEAD = "| notebook | minutes | answers asked for | solutions |"


def table(say: Callable[[str], str] = str) -> str:
    """The notebooks in their order: minutes to run, exercises, solutions. In Markdown.

    Minutes are of processor time on one thread, rounded up; a notebook that was not measured has
    none. say: translates HEAD and the notebooks' titles.
    """
    seconds = read_measured().seconds if MEASURED.exists() else {}
    rows = [say(HEAD), "|---|---|---|---|"]
    for lesson in lessons():
        cells = read(lesson).cells
        title = say(cells[0].source.split("\n\n")[0]).removeprefix("# ")
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        minutes = str(math.ceil(seconds[lesson.stem] / 60)) if lesson.stem in seconds else ""
        rows.append(
            f"| [{title}](../notebooks/{lesson.name}) | {minutes} | {len(OPEN.findall(code))} "
            f"| [{lesson.stem[:2]}](../notebooks/solutions/{solution_of(lesson).name}) |"
        )
    return "\n".join(rows)


def renew(*, check: bool) -> list[str]:
    """Write the table into the guide. check: write nothing, and say whether it would change."""
    if not check:
        update_between_markers(GUIDE, MARKER, table())
        return []
    marks = re.search(rf"<!-- {MARKER}:start -->\n(.*?)\n<!-- {MARKER}:end -->", _text(), re.DOTALL)
    if marks and marks[1] == table():
        return []
    return [f"{GUIDE.relative_to(ROOT)}: out of date: run make translations"]


def _text() -> str:
    return GUIDE.read_text(encoding="utf-8")
