"""Watching a run: the paper's at the same iteration, pictures, plain lines, a real terminal."""

from __future__ import annotations

import dataclasses
import fcntl
import io
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console

from resnet_repro.cli import main, progress
from resnet_repro.cli.progress import CurveDisplay
from resnet_repro.cli.watch import find
from resnet_repro.errors import UserError
from resnet_repro.monitor import terminal as terminal_picture
from resnet_repro.monitor.snapshot import (
    Paper,
    Seen,
    follow,
    look,
    paper_note,
    paper_of,
    percent,
    plain_line,
    same_part,
)
from resnet_repro.monitor.terminal import PAPER, TEST, TRAIN, WatchDisplay, draws, picture
from resnet_repro.paper import artifacts
from resnet_repro.records import schema, store
from resnet_repro.sweep import plan
from resnet_repro.sweep.launcher import Event
from tests.conftest import REPO, environment
from tests.helpers.records import Fake, lease_elsewhere, write

BRAILLE = re.compile("[\u2801-\u28ff]")
RUN = Fake("resnet20", 12.0, 10.0, protocol="short", rows=32)


def under_way(results: Path, fake: Fake = RUN, rows: int = 20) -> Path:
    """The record of a run that a process trains, with its first rows."""
    write(results, fake)
    folder = fake.run.folder(results)
    (folder / "result.json").unlink()
    lease_elsewhere(folder)
    for name, columns in (("metrics.csv", schema.METRICS), ("timing.csv", schema.TIMING)):
        store.write_table(folder / name, columns, table(folder / name, columns)[:rows])
    return folder


def table(path: Path, columns: tuple[str, ...]) -> list[dict[str, object]]:
    return [dict(row) for row in store.read_table(path, columns)]


def resnet20() -> Paper:
    paper = paper_of(RUN.run, "resnet20")
    assert paper is not None
    return paper


# --- The same iteration


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data())
def test_the_papers_iteration_is_at_the_same_part_of_its_schedule(
    ours: int, paper: int, data: st.DataObject
) -> None:
    iteration = data.draw(st.integers(0, ours))
    there = same_part(iteration, ours, paper)
    assert abs(there - iteration * paper / ours) <= 0.5
    assert same_part(0, ours, paper) == 0
    assert same_part(ours, ours, paper) == paper


def test_a_drop_of_the_rate_is_beside_the_papers() -> None:
    assert same_part(4_000, 8_000, 64_000) == 32_000
    assert same_part(32_000, 64_000, 64_000) == 32_000


@given(st.integers(0, 70_000))
def test_an_error_of_the_paper_lies_between_its_neighbours(iteration: int) -> None:
    paper = resnet20()
    found = paper.at("test", iteration)
    first, last = paper.test[0], paper.test[-1]
    if iteration < first[0] or iteration > last[0] + 1_000:
        assert found is None
        return
    assert found is not None
    before = max(point for point in paper.test if point[0] <= iteration)
    after = next((point for point in paper.test if point[0] >= iteration), last)
    assert min(before[1], after[1]) <= found <= max(before[1], after[1])
    if before[0] == iteration:
        assert found == before[1]


def test_the_papers_last_point_is_not_stretched() -> None:
    paper = paper_of(schema.RunId("imagenet", "plain18", "paper", 0), "plain18")
    assert paper is not None
    assert (paper.figure, paper.iterations) == ("Fig. 4", 600_000)
    assert paper.at("test", 550_000) == paper.test[-1][1]
    assert paper.at("test", 600_000) is None


@pytest.mark.parametrize(
    ("dataset", "arm", "network"),
    [
        ("digits", "resnet20", "resnet20"),
        ("cifar10", "resnet20-B", "resnet20-B"),
        ("cifar10", "resnet26", "resnet26"),
        ("cifar10", "resnet110-nowarmup", "resnet110"),
    ],
)
def test_there_is_no_curve_of_what_the_paper_did_not_draw(
    dataset: str, arm: str, network: str
) -> None:
    assert paper_of(schema.RunId(dataset, arm, "paper", 0), network) is None


# --- What is seen


def test_a_run_is_seen_as_far_as_it_is(tmp_path: Path) -> None:
    folder = under_way(tmp_path)
    seen = look(folder)
    assert (seen.run, seen.state, seen.iterations, seen.iteration) == (
        RUN.run,
        "under way",
        8_000,
        5_000,
    )
    assert seen.scale == 8
    assert seen.beside(5_000) == 40_000
    (folder / "metrics.csv").unlink()
    assert look(folder).waiting
    (folder / ".lock").unlink()
    assert look(folder).state == "partial"


def unheard(folder: Path, seconds: float = 7_200) -> None:
    """As if nothing had been heard of a run for so long."""
    then = time.time() - seconds
    for path in folder.iterdir():
        os.utime(path, (then, then))


@pytest.mark.parametrize("rows", [20, 0])
def test_a_process_that_was_killed_trains_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: int
) -> None:
    """Its lock's file stays behind."""
    folder = under_way(tmp_path, rows=rows)
    assert look(folder).waiting == (not rows)
    unheard(folder)
    assert look(folder).state == "partial"
    with pytest.raises(UserError, match="no run is under way"):
        find(None, tmp_path)
    assert main(["watch", str(RUN.run), "--results-dir", str(tmp_path)]) == 0
    assert "no process trains it" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("rows", [20, 0])
def test_a_process_that_says_nothing_for_long_trains_its_run_still(
    tmp_path: Path, rows: int
) -> None:
    folder = under_way(tmp_path, rows=rows)
    unheard(folder)
    lease_elsewhere(folder)
    assert look(folder).waiting == (not rows)
    assert find(None, tmp_path) == folder


def test_a_look_leaves_the_lease_as_it_is(tmp_path: Path) -> None:
    folder = under_way(tmp_path)
    unheard(folder)
    lease = folder / ".lock"
    before = lease.read_bytes(), lease.stat()
    assert look(folder).state == "partial"
    assert (lease.read_bytes(), lease.stat().st_mtime_ns) == (before[0], before[1].st_mtime_ns)


def test_a_run_that_was_taken_up_again_is_not_silent(tmp_path: Path) -> None:
    folder = under_way(tmp_path)
    unheard(folder)
    (folder / "execution.json").touch()
    seen = look(folder)
    assert seen.silent(time.time()) is None
    left = seen.left(seen.heard)
    assert left == pytest.approx(3_000 * 0.04)


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_a_finished_run_is_over(tmp_path: Path, status: schema.Status) -> None:
    fake = dataclasses.replace(RUN, status=status)
    write(tmp_path, fake)
    assert look(fake.run.folder(tmp_path)).state == status


def test_time_left_is_the_median_pace_times_what_is_left(tmp_path: Path) -> None:
    seen = look(under_way(tmp_path))  # 10 s a row of 250
    assert seen.pace == pytest.approx(0.04)
    assert seen.left(seen.heard) == pytest.approx(3_000 * 0.04)
    assert seen.left(seen.heard + 20) == pytest.approx(3_000 * 0.04 - 20)
    assert seen.left(seen.heard + 10_000) == 0
    assert seen.left(seen.heard + 10_000, 7_000) == pytest.approx(1_000 * 0.04)
    assert seen.silent(seen.heard + 59) is None
    assert seen.silent(seen.heard + 61) == 61


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    folder = under_way(tmp_path)
    path = folder / "metrics.csv"
    path.write_text(path.read_text().replace("5000,", "five,"))
    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        look(folder)


def test_tables_may_be_replaced_while_they_are_read(tmp_path: Path) -> None:
    folder = under_way(tmp_path, rows=32)
    whole = table(folder / "metrics.csv", schema.METRICS)
    ended = threading.Event()

    def train() -> None:
        for count in [*range(1, 33)] * 3:
            store.write_table(folder / "metrics.csv", schema.METRICS, whole[:count])
        ended.set()

    writer = threading.Thread(target=train)
    writer.start()
    sizes = set()
    while not ended.is_set():
        sizes.add(len(look(folder).rows))
    writer.join()
    assert len(sizes) > 1


# --- Pictures


def lines_of(seen: Seen, width: int, height: int) -> list[str]:
    return picture(seen, width, height, time.time()).plain.split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 12)])
def test_a_picture_shows_curves_and_numbers_beside_the_papers(
    tmp_path: Path, width: int, height: int
) -> None:
    seen = look(under_way(tmp_path))
    lines = lines_of(seen, width, height - 1)
    assert len(lines) <= height - 1
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    row, paper = seen.rows[-1], resnet20()
    assert "5,000 of 8,000" in text
    assert "left" in text
    published = (paper.at("train", 40_000), paper.at("test", 40_000))
    for error in (row["train_error"], row["test_error"], *published):
        assert f"{error:.2f}" in text
    assert "at 40,000" in text
    assert "lr 0.1" in text
    assert ("learning rate" in text) == (height == 24)
    assert ("its schedule 8 times as long" if width == 80 else "same part") in text
    panel = [line for line in lines if "┤" in line or "│" in line]
    assert len(panel) >= 4
    for mark in (BRAILLE, re.compile("x"), re.compile("·")):
        assert any(mark.search(line) for line in panel)


@given(st.integers(20, 140), st.integers(9, 60), st.integers(0, 32))
def test_a_picture_fits_any_terminal(width: int, height: int, rows: int) -> None:
    found = tuple(
        {"iteration": 250.0 * n, "lr": 0.1, "train_error": 90.0 / n, "test_error": 95.0 / n}
        for n in range(1, rows + 1)
    )
    seen = Seen(RUN.run, 8_000, found, 0.04, time.time(), "under way", resnet20())
    lines = lines_of(seen, width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


def test_a_curve_stands_at_its_part_of_the_schedule(tmp_path: Path) -> None:
    seen = look(under_way(tmp_path, rows=16))  # half of the schedule
    panel = [line for line in lines_of(seen, 80, 23) if "┤" in line or "│" in line]
    ours = max(
        max(m.end() for m in BRAILLE.finditer(line)) for line in panel if BRAILLE.search(line)
    )
    published = max(line.rfind("·") for line in panel)
    assert ours == pytest.approx(7 + 73 / 2, abs=2)  # the axis runs from column 7 to 80
    assert published >= 78


def test_what_is_not_finite_is_not_drawn(tmp_path: Path) -> None:
    fake = dataclasses.replace(RUN, test_error=None, train_error=None, status="diverged")
    write(tmp_path, fake)
    text = "\n".join(lines_of(look(fake.run.folder(tmp_path)), 80, 23))
    assert "diverged" in text
    assert re.search(r"training +- +test +-", text)


def test_a_step_and_the_last_measurements_are_named(tmp_path: Path) -> None:
    seen = look(under_way(tmp_path))
    assert "5,100 of 8,000" in picture(seen, 80, 23, time.time(), 5_100).plain
    assert "last measurements" in picture(seen, 80, 23, time.time(), 8_000).plain
    assert "no row for 2 h 00 min" in picture(seen, 80, 23, seen.heard + 7_200).plain
    folder = under_way(tmp_path / "other")
    (folder / "metrics.csv").unlink()
    waiting = look(folder)
    assert "waiting for the first row" in "\n".join(lines_of(waiting, 40, 11))
    assert "no row yet" in "\n".join(lines_of(waiting, 40, 11))
    assert "no row for 2 h 00 min" in picture(waiting, 40, 11, waiting.heard + 7_200).plain


def test_a_resumed_run_is_where_it_steps_and_not_where_its_rows_are(tmp_path: Path) -> None:
    """Its rows go on from the checkpoint, which may be older than the last of them."""
    seen = look(under_way(tmp_path, rows=32))
    shown = picture(seen, 80, 23, time.time(), 7_500).plain
    assert "7,500 of 8,000 iterations   20 s left" in shown
    assert "last measurements" not in shown
    assert "last measurements" in picture(seen, 80, 23, time.time()).plain


def words_of(seen: Seen) -> set[str]:
    """Every word that a picture of a run may hold outside its panels."""
    row, paper, there = seen.rows[-1], seen.paper, seen.beside(seen.iteration)
    assert paper is not None
    published = (paper.at("train", there), paper.at("test", there))
    numbers = [row["train_error"], row["test_error"], *(e for e in published if e is not None)]
    far, part = (seen.iteration, seen.iterations), 100 * seen.iteration // seen.iterations
    words = f"""
        {seen.run} {seen.run.arm} {seen.run.protocol} seed{seen.run.seed} {far[0]:,} of {far[1]:,}
        iterations {far[0]:,}/{far[1]:,} {part} % 1 h 23 min left no process trains it
        error, error ━━ xx ·· test train training paper the paper's learning rate
        this run at {far[0]:,}, lr {row["lr"]:g} paper, {paper.name} {there:,} {paper.iterations:,}
        same part Paper ({paper.figure}): training, its schedule {seen.scale:g} times as long. -
        iteration schedule. {" ".join(f"{far[1] * q / 4:,.0f}" for q in range(5))}
    """
    return {*words.split(), *(f"{number:.2f}" for number in numbers)}


@pytest.mark.parametrize("state", ["under way", "partial"])
@pytest.mark.parametrize("fake", [RUN, Fake("resnet34-A", 100.0, 100.0, dataset="imagenet")])
def test_no_word_is_cut_where_columns_are_few(
    tmp_path: Path, fake: Fake, state: Literal["under way", "partial"]
) -> None:
    write(tmp_path, fake)
    whole = look(fake.run.folder(tmp_path))
    pace = (83 * 60 + 5) / (whole.iterations / 4)  # so that 1 h 23 min are left
    rows = whole.rows[: len(whole.rows) * 3 // 4]
    seen = dataclasses.replace(whole, rows=rows, pace=pace, heard=time.time(), state=state)
    known = words_of(seen)
    for width in [*range(20, 41), *range(60, 81)]:
        lines = picture(seen, width, 23, seen.heard).plain.split("\n")
        assert max(map(cell_len, lines)) <= width
        for line in lines:
            if not re.search("[┤│└]", line):
                assert set(line.split()) <= known, (width, line)
        test = f"test {percent(rows[-1]['test_error']):>5}"
        assert any(test in re.sub("test +", "test ", line) for line in lines), width
    narrow, wide = lines_of(seen, 30, 23), lines_of(seen, 80, 23)
    assert not any("lr" in line for line in narrow)
    assert any("lr 0.1" in line for line in wide)
    assert any("train" in line and "test" in line for line in narrow if line.startswith("run"))


@pytest.mark.parametrize("number", [TEST, TRAIN, PAPER])
def test_colours_can_be_read_on_dark_and_on_light(number: int) -> None:
    """Contrast as WCAG 2 defines it; 3 is what it asks of graphics."""
    rgb = Color.from_ansi(number).get_truecolor()

    def linear(part: int) -> float:
        c = part / 255
        return c / 12.92 if c <= 0.03928 else float(((c + 0.055) / 1.055) ** 2.4)

    light = 0.2126 * linear(rgb.red) + 0.7152 * linear(rgb.green) + 0.0722 * linear(rgb.blue)
    assert (light + 0.05) / 0.05 >= 3
    assert 1.05 / (light + 0.05) >= 3


# --- Lines


def plain_console() -> Console:
    return Console(file=io.StringIO(), markup=False, emoji=False, width=80)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_no_terminal_is_each_row_is_one_line(tmp_path: Path) -> None:
    """Rows are added and the run ends while it is followed."""
    write(tmp_path / "whole", RUN)
    whole = RUN.run.folder(tmp_path / "whole")
    folder = under_way(tmp_path, rows=2)
    coming = [3, 3, 32]

    def pause(seconds: float) -> None:
        assert seconds > 0
        rows = table(whole / "metrics.csv", schema.METRICS)
        store.write_table(folder / "metrics.csv", schema.METRICS, rows[: coming.pop(0)])
        if not coming:
            (folder / "result.json").write_bytes((whole / "result.json").read_bytes())

    console = plain_console()
    with WatchDisplay(console) as display:
        seen = follow(folder, display.show, pause)
    assert seen.state == "done"
    lines = printed(console).splitlines()
    assert lines[0] == paper_note(seen)
    assert [line.split()[3] for line in lines[1:]] == [f"{250 * n}/8000" for n in range(1, 33)]
    assert lines[2].endswith(" left")
    assert "\x1b" not in printed(console)


def test_where_no_row_comes_a_line_says_so_now_and_then(tmp_path: Path) -> None:
    folder = under_way(tmp_path, rows=0)
    console = plain_console()
    with WatchDisplay(console) as display:
        for seconds in (0, 1, 59, 61, 62, 121, 123, 124, 7_200):
            unheard(folder, seconds)
            lease_elsewhere(folder)
            display.show(look(folder))
        rows = [{"iteration": 250, **dict.fromkeys(schema.METRICS[1:], 1.0)}]
        store.write_table(folder / "metrics.csv", schema.METRICS, rows)
        display.show(look(folder))
        unheard(folder, 90)
        lease_elsewhere(folder)
        display.show(look(folder))
        display.show(look(folder), 300)  # it steps
    lines = printed(console).splitlines()
    ours = [line.removeprefix(f"{RUN.run}: ") for line in lines[1:]]
    assert ours[:4] == [
        "waiting for the first row",
        "no row for 1 min 01 s",
        "no row for 2 min 03 s",
        "no row for 2 h 00 min",
    ]
    assert "250/8000" in ours[4]
    assert ours[5:] == ["no row for 1 min 30 s"]


def test_a_line_has_the_papers_at_the_same_iteration(tmp_path: Path) -> None:
    seen = look(under_way(tmp_path))
    paper = resnet20()
    line = plain_line(seen, seen.rows[-1])
    train, test = paper.at("train", 40_000), paper.at("test", 40_000)
    assert f"paper at 40000/64000: train {train:.2f} %, test {test:.2f} %" in line
    assert "paper at 2000/64000: train - %, test - %" in plain_line(seen, seen.rows[0])


def test_a_terminal_that_cannot_hold_a_picture_gets_lines() -> None:
    def on(**settings: object) -> bool:
        size = {"width": 80, "height": 24} | settings
        file = io.TextIOWrapper(io.BytesIO(), encoding=str(size.pop("encoding", "utf-8")))
        terminal = {"_environ": {"TERM": size.pop("term", "xterm")}}
        return draws(Console(file=file, force_terminal=True, **size, **terminal))  # type: ignore[arg-type]

    assert on()
    assert not on(width=29)
    assert not on(height=10)
    assert not on(term="dumb")
    assert not on(encoding="ascii")
    assert not draws(plain_console())


def test_a_record_that_cannot_be_shown_stops_no_training(tmp_path: Path) -> None:
    demo = artifacts.load("demo").artifact
    request = plan.Request(demo, ("plain20-w8",), results=tmp_path)
    planned = plan.plan(request, "cpu")
    console = plain_console()
    with CurveDisplay(planned, tmp_path, console) as display:
        display(Event(planned[0].run, "step", 1))  # there is no record
        display(Event(planned[0].run, "say", "a note"))
        display(Event(planned[0].run, "end", "done"))
    assert printed(console) == f"a note\n{planned[0].run}: done\n"


@pytest.mark.parametrize("error", [OSError("no space"), ValueError("no number")])
@pytest.mark.parametrize("place", [(progress, "look"), (terminal_picture, "picture")])
def test_whatever_a_picture_raises_stops_no_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    place: tuple[ModuleType, str],
) -> None:
    raised = []

    def fail(*arguments: object) -> None:
        raised.append(error)
        raise error

    monkeypatch.setattr(*place, fail)
    request = plan.Request(artifacts.load("fig6").artifact, ("resnet20",), results=tmp_path)
    planned = plan.plan(request, "cpu")
    run = planned[0].run
    under_way(tmp_path, Fake(run.arm, protocol=run.protocol))
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    terminal = {"TERM": "xterm"}
    console = Console(file=file, force_terminal=True, width=80, height=24, _environ=terminal)
    with CurveDisplay(planned, tmp_path, console) as shown:
        shown(Event(run, "step", 1))
        shown(Event(run, "row", {"iteration": 8_000.0}))
        shown(Event(run, "end", "done"))
    assert len(raised) == 3


# --- The command


def test_without_a_name_it_is_the_run_under_way(tmp_path: Path) -> None:
    write(tmp_path, dataclasses.replace(RUN, seed=1))
    folder = under_way(tmp_path)
    assert find(None, tmp_path) == folder
    assert find(str(RUN.run), tmp_path) == folder
    assert find(str(folder), tmp_path / "elsewhere") == folder


@pytest.mark.parametrize("newest", [0, 1])
def test_of_several_runs_under_way_the_others_are_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    newest: int,
) -> None:
    fakes = [dataclasses.replace(RUN, seed=seed) for seed in (0, 1)]
    results = [fake.run.folder(tmp_path) / "result.json" for fake in fakes]
    write(tmp_path, fakes[newest])
    result = results[newest].read_bytes()
    folders = [under_way(tmp_path, fake) for fake in fakes]
    unheard(folders[1 - newest], 30)
    assert find(None, tmp_path) == folders[newest]

    def end_and_follow(folder: Path, show: Callable[[Seen], None]) -> Seen:
        results[newest].write_bytes(result)
        return follow(folder, show)

    monkeypatch.setattr("resnet_repro.cli.watch.follow", end_and_follow)
    assert main(["watch", "--results-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    other = f"also under way: {fakes[1 - newest].run}"
    assert lines[0] == other
    assert lines[-2:] == [f"{fakes[newest].run}: done", other]
    assert main(["watch", str(fakes[newest].run), "--results-dir", str(tmp_path)]) == 0
    assert "also under way" not in capsys.readouterr().out


def test_a_finished_run_is_shown_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, RUN)
    assert main(["watch", str(RUN.run), "--results-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 + 32 + 1
    assert "8000/8000  train 10.00 %  test 12.00 %" in out[-2]
    assert out[-1] == f"{RUN.run}: done"


def test_a_run_that_nobody_trains_is_shown_and_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (under_way(tmp_path) / ".lock").unlink()
    assert main(["watch", str(RUN.run), "--results-dir", str(tmp_path)]) == 0
    assert "up to iteration 5000 of 8000" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ((), "no run is under way in"),
        (("cifar10/resnet20/short/seed7",), "such as cifar10/resnet20/short/seed0"),
        (("nonsense",), "give dataset/arm/protocol/seedK or its folder"),
    ],
)
def test_what_is_no_run_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: tuple[str, ...], says: str
) -> None:
    write(tmp_path, RUN)
    assert main(["watch", *name, "--results-dir", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1


# --- A real terminal


class Terminal:
    """A process in a pseudo-terminal of 80x24; `shown` is all it has written."""

    def __init__(self, *words: str) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        # The first terminal that a new session opens is the one whose Ctrl-C it gets.
        within = ("sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(self.slave))
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "resnet_repro", *words],
            cwd=REPO,
            env=environment(TERM="xterm-256color", PYTHONUTF8="1"),
            start_new_session=True,
            # Where tests run in a shell's background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.raw = b""

    @property
    def shown(self) -> str:
        return self.raw.decode(errors="replace")

    def read(self, until: str | None = None, seconds: float = 600) -> str:
        """Read until a text is shown, or to the process's end."""
        by = time.monotonic() + seconds
        while until is None or until not in self.shown:
            ended = self.process.poll() is not None
            if select.select([self.master], [], [], 0.2)[0]:
                self.raw += os.read(self.master, 65_536)
            elif ended or time.monotonic() > by:
                break
        assert until is None or until in self.shown
        return self.shown

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=60)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_ctrl_c_leaves_a_terminal_as_it_was(tmp_path: Path, terminals: list[Terminal]) -> None:
    folder = under_way(tmp_path)
    terminal = Terminal("watch", str(folder))
    terminals.append(terminal)
    terminal.read("its schedule 8 times as long")
    assert "\x1b[?25l" in terminal.shown  # the cursor is hidden while the picture is renewed
    os.write(terminal.master, b"\x03")
    shown = terminal.read()
    assert terminal.process.wait(timeout=60) == 0
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")
    assert "no process trains it" not in shown  # it was left, and did not end by itself
    assert "Traceback" not in shown
    assert "error:" not in shown
    assert BRAILLE.search(shown)


@pytest.mark.slow
def test_a_run_shows_its_curves_as_it_trains(tmp_path: Path, terminals: list[Terminal]) -> None:
    words = ("run", "demo", "--protocol", "smoke", "--arms", "resnet20-w8", "--watch")
    places = ("--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache"))
    terminal = Terminal(*words, "--device", "cpu", *places)
    terminals.append(terminal)
    shown = terminal.read()
    assert terminal.process.wait(timeout=60) == 0
    assert "Traceback" not in shown
    assert "12 of 12 iterations" in shown
    assert "learning rate" in shown
    assert "The paper draws no curve of such a run." in shown
    assert "digits/resnet20-w8/smoke/seed0: done" in shown
    assert BRAILLE.search(shown)
    row = look(tmp_path / "results/digits/resnet20-w8/smoke/seed0").rows[-1]
    assert re.search(rf"training +{row['train_error']:.2f} +test +{row['test_error']:.2f}", shown)


# --- make teach


def test_make_teach_names_files_that_exist() -> None:
    """Of the target's commands as make would run them; nothing is installed or started."""
    told = subprocess.run(
        [
            "make",
            "--no-print-directory",
            "--dry-run",
            "teach",
            "VENV=no-such-environment",
            "TEACH=--no-browser",
        ],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = re.findall(r"\S+\.(?:txt|ipynb)", told)
    assert {"requirements.txt", "requirements-teach.txt"} < set(files)
    for name in files:
        assert (REPO / name).is_file(), name
    assert told.rstrip().endswith("--no-browser")
    assert "no-such-environment/bin/python -m jupyterlab notebooks/" in told
    assert f'--ServerApp.root_dir="{REPO}"' in told  # what notebooks link to lies above them
    assert ("--allow-root" in told) == (os.getuid() == 0)


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_notebook_is_in_the_readme(readme: str) -> None:
    named = re.findall(r"\]\(notebooks/([^)/]+\.ipynb)\)", (REPO / readme).read_text())
    assert named == sorted(path.name for path in (REPO / "notebooks").glob("*.ipynb"))
