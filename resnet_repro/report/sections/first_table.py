"""Table 6 in few lines: what somebody sees first. docs/results.md has all of it."""

from __future__ import annotations

from resnet_repro.markup import Grid, Markup
from resnet_repro.models.names import parse
from resnet_repro.paper import artifacts
from resnet_repro.paper.other_reproductions import load_reproductions
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.report.columns import difference_text, published_text, recorded_text
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.seeds import counts
from resnet_repro.report.tables import ResultRow, rows_under

HEADS = (
    "network",
    "parameters",
    "paper, %",
    "ours, %",
    "difference",
    "verdict",
    "others' best, %",
)


def first_table(frames: Frames) -> Grid:
    """A line a network of Table 6, and one for the best seed of the one that has several.

    Ours: under the paper's protocol alone, the last iterate, mean and standard deviation over n
    seeds. Other reproductions: the lowest test error that a public copy reports, and how it was
    come by.
    """
    artifact = artifacts.load("table6").artifact
    lines: list[tuple[str, ...]] = []
    for row in rows_under(artifact, frames, PAPER_PROTOCOL):
        if row.metric != "test_error":
            continue
        parameters = counts(artifact, artifact.arm(row.arm), "params", frames)
        lines.append(
            (
                parse(row.network).label,
                f"{parameters[0]:,}" if parameters else "",
                _unbroken(published_text(row.published, row.metric)),
                _unbroken(recorded_text(row.ours, row.metric)),
                _unbroken(difference_text(row.ours.difference, row.ours.half_width)),
                row.ours.verdict,
                _best_copy(row.arm),
            )
        )
        if row.published_best is not None:
            lines.append(_best(row))
    return Grid(HEADS, tuple(lines))


def _unbroken(text: str) -> str:
    """A number whose parts stay on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _best(row: ResultRow) -> tuple[str, ...]:
    """The best seed, which has no verdict: that of more seeds is better by chance alone."""
    value, best = row.published_best, row.ours.best
    assert value is not None
    return (
        f"{parse(row.network).label}, best",
        "",
        _unbroken(f"{value.text} (of {value.n})"),
        "" if best is None else _unbroken(f"{best:.2f} (of {row.ours.n})"),
        "",
        "",
        "",
    )


def _best_copy(arm: str) -> str:
    """The lowest test error a public copy reports, and of which iterate it is."""
    copies = [copy for copy in load_reproductions() if copy.arm == arm]
    if not copies:
        return ""
    best = min(copies, key=lambda copy: copy.test_error)
    told = {"not stated": "iterate not stated", "last": "last iterate"}
    iterate = told.get(best.which_iterate, best.which_iterate)
    return Markup(f"[{best.test_error:.2f}]({best.url}), {iterate}")
