"""The page's tables: an artifact's rows and claims, and the verdicts of all of them together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from resnet_repro.records.metrics import metric_words
from resnet_repro.records.schema import RunId
from resnet_repro.report.columns import CLAIMS, RESULTS, Column, R, shown
from resnet_repro.report.sections.summary import STATES, state
from resnet_repro.report.tables import ResultRow, Table


@dataclass(frozen=True)
class Link:
    """A link within the page."""

    text: str
    anchor: str


@dataclass(frozen=True)
class PageCell:
    """A cell; `anchor` where it is a number, which is a link to itself."""

    text: str
    said: bool  # language, not a name or a number
    number: bool  # whether its column is one of numbers
    anchor: str = ""
    verdict: str = ""  # the state of a verdict's cell


@dataclass(frozen=True)
class Line:
    """A row of a table; `links`: the runs behind it."""

    anchor: str
    cells: tuple[PageCell, ...]
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Head:
    """A column's head."""

    title: str
    number: bool


@dataclass(frozen=True)
class LinkedGrid:
    """A table whose numbers have anchors."""

    columns: tuple[Head, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Verdict:
    """A row of the table of all verdicts; numbers as text, and as what they are sorted by."""

    artifact: str
    what: str
    detail: str  # a metric, or empty for a claim
    protocol: str
    published: str
    recorded: str
    difference: str
    verdict: str
    word: str  # the verdict without what explains it
    state: str
    anchor: str  # of the row in its artifact's section
    order: tuple[float | None, float | None, float | None]


@dataclass
class Anchors:
    """The page's anchors; the same words twice get a number."""

    taken: set[str] = field(default_factory=set)

    def of(self, *parts: str) -> str:
        words = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", p).strip("-") for p in parts if p)
        found, number = words, 1
        while found in self.taken:
            number += 1
            found = f"{words}-{number}"
        self.taken.add(found)
        return found


def run_anchor(run: RunId) -> str:
    """The page's anchor of a run, such as `run-cifar10-resnet20-short-seed0`."""
    return f"run-{run.dataset}-{run.arm}-{run.protocol}-seed{run.seed}"


def results_grid(table: Table, known: set[RunId], anchors: Anchors) -> LinkedGrid:
    """An artifact's rows with the runs behind each."""
    columns = shown(RESULTS, table.rows)
    lines = []
    for row in table.rows:
        anchor = anchors.of("v", table.artifact.name, row.arm, row.metric, row.protocol)
        verdict = "quoted" if row.quoted else state(row.ours.verdict)
        lines.append(_line(columns, row, anchor, verdict, _links(row, known)))
    return LinkedGrid(_heads(columns), tuple(lines))


def claims_grid(table: Table, anchors: Anchors) -> LinkedGrid | None:
    """An artifact's claims; None where it makes none."""
    if not table.claims:
        return None
    columns = shown(CLAIMS, table.claims)
    lines = []
    for row in table.claims:
        anchor = anchors.of(
            "c", table.artifact.name, row.claim.higher, row.claim.lower, row.claim.metric,
            row.claim.scope, row.protocol,
        )  # fmt: skip
        lines.append(_line(columns, row, anchor, state(row.result.verdict), ()))
    return LinkedGrid(_heads(columns), tuple(lines))


def verdicts(tables: Sequence[tuple[Table, LinkedGrid, LinkedGrid | None]]) -> list[Verdict]:
    """Every verdict of every artifact, claims last; what has no published value has none."""
    found = []
    for table, results, claims in tables:
        name = table.artifact.name
        for row, line in zip(table.rows, results.lines, strict=True):
            if row.quoted or row.published is None:
                continue
            cells = _by_column(results, line)
            value, ours = row.published, row.ours
            found.append(
                Verdict(
                    name,
                    row.arm,
                    metric_words(row.metric, row.dataset),
                    row.protocol,
                    cells.get("paper", ""),
                    cells.get("suite", ""),
                    cells.get("difference", ""),
                    row.ours.verdict,
                    row.ours.verdict or "missing",
                    state(row.ours.verdict),
                    line.anchor,
                    (value.value, ours.mean, ours.difference),
                )
            )
        for claim, line in zip(table.claims, claims.lines if claims else (), strict=True):
            cells = _by_column(claims, line) if claims else {}
            found.append(
                Verdict(
                    name,
                    claim.claim.text,
                    "",
                    claim.protocol,
                    "",
                    "",
                    cells.get("difference", ""),
                    claim.result.label,
                    claim.result.verdict or "missing",
                    state(claim.result.verdict),
                    line.anchor,
                    (None, None, claim.result.difference),
                )
            )
    return found


def chips(found: Sequence[Verdict]) -> list[tuple[str, str, int]]:
    """Each verdict that there is with its state and how many rows have it, the best first."""
    counted = Counter((v.word, v.state) for v in found)
    order = [word for words in STATES.values() for word in words]
    ranked = sorted(counted.items(), key=lambda item: order.index(item[0][0]))
    return [(word, name, n) for (word, name), n in ranked]


def _line(
    columns: Sequence[Column[R]], row: R, anchor: str, verdict: str, links: tuple[Link, ...]
) -> Line:
    cells = []
    for column in columns:
        text = column.cell(row)
        number = column.number and any(c.isdigit() for c in text)
        cells.append(
            PageCell(
                text,
                said=column.said,
                number=column.number,
                anchor=f"{anchor}-{column.title.replace(' ', '-')}" if number else "",
                verdict=verdict if column.title == "verdict" else "",
            )
        )
    return Line(anchor, tuple(cells), links)


def _heads(columns: Sequence[Column[R]]) -> tuple[Head, ...]:
    return tuple(Head(c.title, c.number) for c in columns)


def _by_column(grid: LinkedGrid, line: Line) -> dict[str, str]:
    return {head.title: cell.text for head, cell in zip(grid.columns, line.cells, strict=True)}


def _links(row: ResultRow, known: set[RunId]) -> tuple[Link, ...]:
    """The runs of a row's arm by seed, under its protocol where it has one."""
    runs = sorted(
        (run.protocol, run.seed, run)
        for run in known
        if (run.dataset, run.arm) == (row.dataset, row.arm) and row.protocol in ("", run.protocol)
    )
    return tuple(
        Link(str(seed) if row.protocol else f"{protocol} {seed}", run_anchor(run))
        for protocol, seed, run in runs
    )
