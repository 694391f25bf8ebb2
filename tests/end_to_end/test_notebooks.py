"""Every notebook runs and concludes what its committed outputs say; solutions are right.

A notebook is executed once, with its exercises open as a reader finds them, then its solutions
and wrong answers in the same kernel.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from teaching.execution import execute, is_open
from teaching.lessons import OPEN, conclusions, lessons, printed, read, solution_of
from teaching.measured import read_measured

LESSONS = lessons()
LESSON = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)

WRONG = {
    "01": {"added_parameters": "36", "overfitted_by": "60.0"},
    "02": {"change": "0.1", "behind": '{"layer2": [3]}', "output": "-2.0"},
    "03": {
        "projections_b": "3",
        "projections_c": "'21'",
        "added": "16 * 32 + 32 * 64",
        "ratio": "1 / 3",
    },
    "04": {
        "blocks_needed": "[value < 0.5 for value in near['plain20-w8']].index(True)",
        "steps_to_zero": "POINTS // 4",
        "plain_depth": "56",
    },
    "05": {
        "paths_left": "14",
        "most_missed": "'the last'",
        "two_blocks": "sorted(residual.deleted, key=residual.deleted.get)[-2:]",
    },
    "06": {
        "added": "[2, 4]",
        "part": "0.75",
        "loudest": "max(paths[RESIDUAL], key=lambda block: block.share).name",
    },
    "07": {"values": "(7.9, 8.0)", "enough": "1", "flattered_by": "-1.0"},
}


@pytest.mark.slow
@LESSON
def test_it_runs_and_concludes_what_its_outputs_say(lesson: Path) -> None:
    wrong = WRONG[lesson.stem[:2]]
    done = execute(lesson, wrong=wrong)
    (asked,) = [i for i, cell in enumerate(done.notebook.cells) if is_open(cell)]
    assert set(OPEN.findall(done.notebook.cells[asked].source)) == set(wrong)
    assert printed(done.notebook.cells[asked + 1]).count("Open: ") == len(wrong)
    assert done.checked.count("Right.") == len(wrong), done.checked
    assert set(done.refused) == set(wrong)
    assert all(said.startswith("not yet: ") for said in done.refused.values()), done.refused

    seeds = read_measured().conclusions[lesson.stem]
    found, committed = conclusions(done.notebook), conclusions(read(lesson))
    assert found.keys() == committed.keys() == seeds.keys()
    for words, (number, bounds) in found.items():
        assert bounds == committed[words][1]
        # Another machine rounds otherwise, which is another draw of the same spread.
        low, high = min(seeds[words]), max(seeds[words])
        slack = max(high - low, 0.25 * abs(high))
        assert low - slack <= number <= high + slack, words


@LESSON
def test_its_committed_outputs_are_those_of_a_whole_run(lesson: Path) -> None:
    for path in (lesson, solution_of(lesson)):
        cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in cells[1:]] == list(range(2, len(cells) + 1))
        outputs = [output for cell in cells for output in cell.outputs]
        assert outputs
        for output in outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output
        assert path.stat().st_size < 400_000  # what a repository's page still shows


@LESSON
def test_what_it_concludes_lies_far_within_its_bounds(lesson: Path) -> None:
    """By half of what seeds differ at least, so that another draw does not fail."""
    concluded = conclusions(read(lesson))
    assert concluded
    for words, values in read_measured().conclusions[lesson.stem].items():
        spread = (max(values) - min(values)) / 2
        for kind, bound in re.findall(r"(more|less) than ([\d.e+-]+)", concluded[words][1]):
            if kind == "more":
                assert min(values) - spread > float(bound), words
            else:
                assert max(values) + spread < float(bound), words


@LESSON
def test_it_has_the_parts_a_reader_expects(lesson: Path) -> None:
    notebook = read(lesson)
    words = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert words.startswith("# ")
    for part in ("predict:**", "## The answer", "## Exercises"):
        assert part in words
    pictures = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/svg+xml" in output.get("data", {})
    ]
    assert len(pictures) >= 2
    solved = "\n".join(cell.source for cell in read(solution_of(lesson)).cells)
    numbers = re.findall(r"^(\d)\. ", words[words.index("## Exercises") :], re.MULTILINE)
    for number in numbers:
        assert f"**{number}.**" in solved
