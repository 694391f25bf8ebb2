"""One self-contained HTML file: verdicts, figures, and every run with its record.

Each number leads to the run it comes from, and from there to the record's file, by links
relative to the page.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2
from matplotlib.colors import to_hex

from resnet_repro.records import schema, store
from resnet_repro.records.files import write_atomic
from resnet_repro.report import render
from resnet_repro.report.figures import colour
from resnet_repro.report.frames import LABELS, Frames
from resnet_repro.report.sketch import sketch
from resnet_repro.report.tables import Row, Table

TITLE = "Deep Residual Learning for Image Recognition, rerun"
INTRO = (
    "Published values of He, Zhang, Ren and Sun (arXiv:1512.03385) beside what the runs recorded "
    "here gave. A result is the last iterate on the test set, the mean over every seed run."
)


@dataclass(frozen=True)
class Line:
    """A name, a value and the file it comes from."""

    name: str
    value: str
    href: str


@dataclass(frozen=True)
class Link:
    """A link within the page."""

    text: str
    anchor: str


@dataclass(frozen=True)
class LinkedRow:
    """A table's row and the runs behind it."""

    cells: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class ArtifactSection:
    """One artifact's part of the page; `figure` is a data URI."""

    name: str
    anchor: str
    title: str
    section: str
    says: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[LinkedRow, ...]
    claims: render.Grid | None
    notes: tuple[str, ...]
    figure: str


@dataclass(frozen=True)
class RunSection:
    """One run's part of the page."""

    anchor: str
    title: str
    curves: str  # a data URI
    command: str
    results: tuple[Line, ...]
    spec: tuple[Line, ...]
    execution: tuple[Line, ...]
    files: tuple[Line, ...]


def write_page(
    path: Path,
    tables: Sequence[tuple[Table, Path]],
    frames: Frames,
) -> None:
    """Write the page: these artifacts, and every run of theirs.

    tables: each artifact's table and the SVG of its figure. Raises UserError when the place
    cannot be written.
    """
    arms = {(arm.dataset, arm.name) for table, _ in tables for arm in table.artifact.arms}
    records = [
        store.read_record(schema.RunId(*(run[label] for label in LABELS)), Path(run["folder"]))
        for dataset, arm in sorted(arms)
        for run in frames.runs_of(dataset, arm)
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("resnet_repro.report", "."),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    known = {record.run for record in records}
    text = environment.get_template("page.html.j2").render(
        title=TITLE,
        intro=INTRO,
        artifacts=[_artifact(table, svg, known) for table, svg in tables],
        runs=[_run(record, frames, path.parent) for record in records],
    )
    write_atomic(path, text.encode())


def run_anchor(run: schema.RunId) -> str:
    """The page's anchor of a run, such as `run-cifar10-resnet20-short-seed0`."""
    return f"run-{run.dataset}-{run.arm}-{run.protocol}-seed{run.seed}"


def _artifact(table: Table, svg: Path, known: set[schema.RunId]) -> ArtifactSection:
    artifact = table.artifact
    cells = render.grid(table.rows)
    return ArtifactSection(
        name=artifact.name,
        anchor=f"artifact-{artifact.name}",
        title=artifact.title,
        section=artifact.section,
        says=artifact.says,
        caption=table.caption,
        columns=cells.columns,
        rows=tuple(
            LinkedRow(line, _links(row, known))
            for row, line in zip(table.rows, cells.rows, strict=True)
        ),
        claims=render.claims_grid(table.claims) if table.claims else None,
        notes=tuple(note.replace("*", "") for note in table.notes),  # Markdown's emphasis
        figure=_data_uri(svg.read_bytes()),
    )


def _links(row: Row, known: set[schema.RunId]) -> tuple[Link, ...]:
    """The runs of a row's arm, under its protocol where it has one."""
    runs = sorted(
        (run.protocol, run.seed, run)
        for run in known
        if (run.dataset, run.arm) == (row.dataset, row.arm) and row.protocol in ("", run.protocol)
    )
    return tuple(Link(f"{protocol} seed {seed}", run_anchor(run)) for protocol, seed, run in runs)


def _run(record: store.Record, frames: Frames, here: Path) -> RunSection:
    folder = Path(os.path.relpath(record.folder.resolve(), here.resolve()))

    def href(name: str) -> str:
        return (folder / name).as_posix()

    def lines(values: dict[str, object], name: str) -> tuple[Line, ...]:
        return tuple(Line(key, _text(value), href(name)) for key, value in values.items())

    result = asdict(record.result)
    files = result.pop("files")
    spec = asdict(record.spec)
    recipe = spec.pop("recipe")
    execution = asdict(record.execution)
    command = execution.pop("command")
    return RunSection(
        anchor=run_anchor(record.run),
        title=str(record.run),
        curves=_data_uri(_curves(record, frames)),
        command=command,
        results=lines(result, "result.json"),
        spec=lines(spec | recipe, "spec.json"),
        execution=lines(execution, "execution.json"),
        files=tuple(
            Line(name, "", href(name))
            for name in ("spec.json", "execution.json", "result.json", *files)
        ),
    )


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    return "none" if value in (None, "") else str(value)


def _curves(record: store.Record, frames: Frames) -> bytes:
    """Training error (dashed) and test error (solid) of one run, in %, as SVG."""
    metrics, run = frames.metrics, record.run
    rows = metrics[
        (metrics["dataset"] == run.dataset)
        & (metrics["arm"] == run.arm)
        & (metrics["protocol"] == run.protocol)
        & (metrics["seed"] == run.seed)
    ]
    return sketch(
        rows["iteration"].tolist(),
        rows["train_error"].tolist(),
        rows["test_error"].tolist(),
        to_hex(colour(record.spec.network)),
    )


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
