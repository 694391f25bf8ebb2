"""A run that is watched, in the terminal: curves over a table of the last row.

Below 30 columns or 10 lines, on a terminal that cannot place a cursor or has no Unicode, and
where the output is no terminal, a plain line a row says the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from resnet_repro.monitor.snapshot import Point, Seen, duration, paper_note, percent, plain_line
from resnet_repro.records.schema import RunId

SMALLEST = (30, 10)  # columns and lines that a picture needs
LARGEST = (120, 36)  # beyond which a picture only costs attention
WIDE = 76  # columns from which the table has words instead of abbreviations
RATE_PANEL = 5  # lines of the learning rate's panel, with its heading
RATE_FROM = 20  # lines from which it is shown

# Of the 256-colour table, so that no theme changes them: each has a contrast of at least 3 to
# black and to white, and blue, orange and grey differ to colour-blind eyes. The marks differ, too.
TEST, TRAIN, PAPER = 32, 166, 244
TOPS = (8, 20, 40, 60, 80, 100)  # of the panel of errors, in %
MARKS = {TEST: "━━", TRAIN: "xx", PAPER: "··"}


class WatchDisplay:
    """Shows what it is given of a run: a picture in place, or each row once as a line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.told: dict[RunId, int] = {}  # the iteration of the last row that was printed
        self.silent: dict[RunId, float] = {}  # how long without a row, when that was last printed
        self.live = Live(console=console, auto_refresh=False) if draws(console) else None

    def __enter__(self) -> WatchDisplay:
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, text: str) -> None:
        """A line of text, above the picture if there is one."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def show(self, seen: Seen, iteration: int | None = None) -> None:
        """Show a run; `iteration` is where it is by now, if that is known."""
        if self.live is not None:
            # A line is left over, so that the terminal does not scroll at each renewal.
            size = self.console.width, self.console.height - 1
            self.live.update(picture(seen, *size, time.time(), iteration), refresh=True)
            return
        self._tell(seen, time.time(), iteration)

    def _tell(self, seen: Seen, now: float, iteration: int | None) -> None:
        """The rows that are new, as lines, and that there is none where that lasts."""
        if seen.run not in self.told:
            self.told[seen.run] = 0
            self.say(paper_note(seen))
            if seen.waiting:
                self.say(f"{seen.run}: waiting for the first row")
        for row in seen.rows:
            if row["iteration"] > self.told[seen.run]:
                last = row is seen.rows[-1] and not seen.over
                self.say(plain_line(seen, row, seen.left(now, iteration) if last else None))
                self.told[seen.run] = int(row["iteration"])
        silent = _silent(seen, now, iteration)
        if silent is None:
            self.silent.pop(seen.run, None)
        elif silent >= 2 * self.silent.get(seen.run, 0.0):
            self.silent[seen.run] = silent
            self.say(f"{seen.run}: no row for {duration(silent)}")


def draws(console: Console) -> bool:
    """Whether a console can hold a picture that is renewed in place, and there is a plotter."""
    columns, lines = SMALLEST
    fit = (
        console.is_terminal
        and not console.is_dumb_terminal
        and console.encoding.startswith("utf")
        and console.width >= columns
        and console.height > lines
    )
    if not fit:
        return False
    try:  # now: an environment older than requirements.txt must not end a training under way
        _plotext()
    except (ImportError, OSError):
        return False
    return True


def picture(seen: Seen, width: int, height: int, now: float, iteration: int | None = None) -> Text:
    """A run as at most `height` lines of at most `width` columns; `now` as time.time().

    From above: which run and how far, the marks, the errors, the learning rate where there is
    room, the last row beside the paper's at the same iteration, and how that was found.
    """
    width, height = min(width, LARGEST[0]), min(height, LARGEST[1])
    wide = width >= WIDE
    head = [*_heading(seen, now, iteration, width), _key(seen, width)]
    foot = _table(seen, width)
    if wide:
        foot.append(Text(paper_note(seen), style="dim"))
    room = height - len(head) - len(foot)
    rate_lines = RATE_PANEL if height >= RATE_FROM else 0
    middle: list[Text] = []
    if not seen.rows:
        waiting = "waiting for the first row"
        middle = [Text(_fitting(width, f"{waiting} of the record", waiting, "waiting"))]
    elif room - rate_lines >= 4:
        middle = _errors(seen, width, room - rate_lines)
        if rate_lines:
            middle += [Text("learning rate"), *_rates(seen, width, rate_lines - 1)]
    lines = [*head, *middle, *foot][:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")  # a word that is longer than a line
    return Text("\n").join(lines)


def _fitting(width: int, *forms: str) -> str:
    """The first of the forms that fits, so that no word is cut; the last if none does."""
    return next((form for form in forms if len(form) <= width), forms[-1])


def _heading(seen: Seen, now: float, iteration: int | None, width: int) -> list[Text]:
    at = seen.iteration if iteration is None else iteration
    silent = _silent(seen, now, iteration)
    how = {
        "under way": f"{duration(seen.left(now, iteration))} left",
        "partial": "no process trains it",
    }.get(seen.state, seen.state)
    if silent is not None:
        how = f"no row for {duration(silent)}"
    elif seen.waiting:
        how = "no row yet"
    elif not seen.over and at >= seen.iterations:
        how = "last measurements"
    far = f"{at:,} of {seen.iterations:,}"
    whole = f"{seen.run}   {far} iterations   {how}"
    if width >= WIDE and len(whole) <= width:
        return [Text(whole, style="bold")]
    run, part = seen.run, f"{100 * at // seen.iterations} %"
    seed = f"seed{run.seed}"
    shorter = (f"{run.arm} {run.protocol} {seed}", f"{run.arm} {seed}", run.arm)
    fars = (f"{far} iterations", far, far.replace(" of ", "/"), part)
    return [
        Text(_fitting(width, str(run), *shorter), style="bold"),
        Text(_fitting(width, *(f"{text}   {how}" for text in fars), how), style="bold"),
    ]


def _silent(seen: Seen, now: float, iteration: int | None) -> float | None:
    """Seconds without a row where that is news: not from a run that steps, or has its last row."""
    if seen.over or iteration is not None or seen.iteration >= seen.iterations:
        return None
    return seen.silent(now)


def _key(seen: Seen, width: int) -> Text:
    """The marks, with as many words as there is room for."""
    short = {TEST: "test", TRAIN: "train"}
    paper = {PAPER: "paper"} if seen.paper is not None else {}
    long = short | {TRAIN: "training"} | ({PAPER: "the paper's test"} if paper else {})
    forms = [("error, %  ", long)] if width >= WIDE else []
    forms += [("error % ", short | paper), ("", short | paper), ("", short)]
    for start, words in forms:
        key = Text(start)
        for hue, word in words.items():
            key.append(MARKS[hue], style=f"color({hue})").append(f" {word}  ")
        key.rstrip()
        if key.cell_len <= width:
            break
    return key


def _table(seen: Seen, width: int) -> list[Text]:
    """The last row, and the paper's at the same iteration."""
    if not seen.rows:
        return []
    row, paper = seen.rows[-1], seen.paper
    there, wide = seen.beside(seen.iteration), width >= WIDE
    rate = f"lr {row['lr']:g}"
    after = f"at {seen.iteration:,}, {rate}" if wide else rate
    errors = (row["train_error"], row["test_error"])
    lines = [_numbers("this run" if wide else "run", errors, after, width)]
    if paper is not None:
        published = (paper.at("train", there), paper.at("test", there))
        after = f"at {there:,} of {paper.iterations:,}" if wide else f"at {there:,}"
        name = f"paper, {paper.name}" if wide else "paper"
        lines.append(_numbers(name, published, after, width))
        if not wide and seen.scale != 1:
            note = f"same part of the paper's {paper.iterations:,}"
            lines.append(_fitting(width, note, "same part of training", "same part"))
    return [Text(line) for line in lines]


def _numbers(name: str, errors: Sequence[float | None], after: str, width: int) -> str:
    train, test = (percent(error) for error in errors)
    if width >= WIDE:
        return f"{name:<20}training {train:>6}   test {test:>6}   {after}"
    both = f"{name:<6}train {train:>5} test {test:>5}"
    return _fitting(width, f"{both} {after}", both, f"{name:<6}test {test:>5}")


def _errors(seen: Seen, width: int, height: int) -> list[Text]:
    """The panel of errors; its scale follows the last row down, the paper's curve staying in."""
    train = _curve(seen, "train_error")
    test = _curve(seen, "test_error")
    published = seen.paper.test if seen.paper else ()
    paper = [(round(x / seen.scale), y) for x, y in published]
    ends = [1.1 * points[-1][1] for points in (train, test) if points]
    highest = max([*ends, *(y for _, y in paper)], default=100.0)
    top = next((top for top in TOPS if top >= highest), TOPS[-1])
    step = top // (4 if height >= 8 else 2)
    ticks = {float(y): str(y) for y in range(0, top + 1, step)}
    curves = [(paper, "·", PAPER), (train, "x", TRAIN), (test, "braille", TEST)]
    return _panel(curves, ticks, seen.iterations, width, height, labelled=True)


def _curve(seen: Seen, name: str) -> list[Point]:
    found = ((int(row["iteration"]), row[name]) for row in seen.rows)
    return [(x, y) for x, y in found if math.isfinite(y)]


def _rates(seen: Seen, width: int, height: int) -> list[Text]:
    """The panel of learning rates, by powers of ten; a row's holds until the next row."""
    points: list[tuple[int, float]] = []
    for x, y in _curve(seen, "lr"):
        if y > 0:
            points += [(x, points[-1][1])] if points else []
            points.append((x, round(math.log10(y), 6)))
    exponents = [y for _, y in points] or [-1.0]
    high = math.ceil(max(exponents))
    low = min(math.floor(min(exponents)), high - 2)
    ticks = {float(y): f"{10.0**y:g}" for y in range(low, high + 1)}
    curves = [(points, "braille", TEST)]
    return _panel(curves, ticks, seen.iterations, width, height, labelled=False)


def _panel(
    curves: Sequence[tuple[Sequence[Point], str, int]],
    ticks: dict[float, str],
    iterations: int,
    width: int,
    height: int,
    *,
    labelled: bool,
) -> list[Text]:
    """Curves (points, mark, colour) over the whole schedule, as `height` lines.

    The y axis runs from the first of the ticks to the last. `labelled`: with iterations below.
    """
    figure = _plotext().figure  # there is one, which each panel clears
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(width, height)
    figure.axes(False, side=1)
    figure.axes(labelled and height >= 8, axis=0, side=0)
    quarters = [iterations * part / 4 for part in range(5)] if labelled else []
    figure.ruler("x", "lower").lim(0, iterations).ticks(quarters, [f"{q:,.0f}" for q in quarters])
    names = [f"{text:>6}" for text in ticks.values()]  # panels above each other stay aligned
    low, high = min(ticks), max(ticks)
    figure.ruler("y", "left").lim(low, high).ticks(list(ticks), names)
    for points, mark, hue in curves:
        inside = [(x, y) for x, y in points if low <= y <= high]
        if inside:
            xs, ys = [x for x, _ in inside], [y for _, y in inside]
            signal = figure.signal(xs, ys, marker=_plotext().marker(mark, hue))
            figure.draw(signal.lines(mark == "braille"))
    lines = figure.build().string().rstrip("\n").split("\n")
    return [Text.from_ansi(line) for line in lines]


def _plotext() -> Any:
    """Imported where something is drawn, as loading its kernel takes time."""
    import plotext

    return plotext
