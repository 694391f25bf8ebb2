"""One self-contained HTML file: the paper and its reproduction side by side.

It needs no server and no network: style, scripts, the charting library and every number are in
it, and its content security policy lets it fetch nothing. What it shows is in English and Chinese.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from resnet_repro.paths import RECORDED
from resnet_repro.records import store
from resnet_repro.records.files import write_atomic
from resnet_repro.records.metrics import METRICS
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.page import drawings, layers, sections, texts
from resnet_repro.report.page.charts import artifact_charts, run_charts
from resnet_repro.report.page.data import read_data, script_json
from resnet_repro.report.page.points import Chart
from resnet_repro.report.page.runs import read_run
from resnet_repro.report.page.sections import run_anchor
from resnet_repro.report.page.words import WORDS
from resnet_repro.report.render import joint_text
from resnet_repro.report.sections.other_reproductions import BESIDE, Reported, reported
from resnet_repro.report.sections.other_reproductions import HEADS as COPIES_HEADS
from resnet_repro.report.sections.other_reproductions import NOTE as COPIES_NOTE
from resnet_repro.report.sections.summary import Summary, not_attempted
from resnet_repro.report.tables import Table

__all__ = ["run_anchor", "write_page"]

SCRIPTS = ("vendor/uPlot.iife.min.js", "lines.js", "tips.js", "charts.js", "tables.js", "page.js")
STYLES = ("vendor/uPlot.min.css", "page.css")
COUNTS = RECORDED / "counts"

_PARTS = re.compile(r"(\d+)")

FIG3 = ("vgg19", "plain34", "resnet34-A")
BLOCKS = ("resnet34-A", "resnet50")
CIFAR = tuple(f"resnet{depth}" for depth in (20, 32, 44, 56, 110, 1202))


@dataclass(frozen=True)
class Section:
    """One artifact's part of the page; `picture` is a data URI."""

    table: Table
    anchor: str
    results: sections.LinkedGrid
    claims: sections.LinkedGrid | None
    charts: list[Chart]
    notes: tuple[str, ...]
    picture: str
    joint: str  # the table's joint test in words; empty without one
    copies: tuple[Reported, ...] = ()  # what other reproductions report


FIRST = ("table6", "fig6")  # what a reader wants to see, before everything else
MOST_SECTIONS = 120  # runs, each some 20 kB with its rows
LARGEST_DRAWING = 250_000  # bytes of a figure that stays a drawing; a picture of it has fewer


def write_page(
    path: Path, tables: Sequence[tuple[Table, Path]], summary: Summary, frames: Frames
) -> None:
    """Write the page: these artifacts, every run of theirs, and the networks.

    tables: each artifact's table and the SVG of its figure. Raises UserError for damaged records
    and counts, and when the place cannot be written.
    """
    arms = {(arm.dataset, arm.name) for table, _ in tables for arm in table.artifact.arms}
    rows = [
        run for dataset, arm in sorted(arms, key=_by_depth) for run in frames.runs_of(dataset, arm)
    ]
    # Every seed is in the charts' means; the first ones' runs have a section of their own.
    detailed = sorted(rows, key=lambda run: run.id.seed)[:MOST_SECTIONS]
    ids = {run.id for run in detailed}
    data = read_data(frames, rows, [run_anchor(run.id) for run in rows], ids)
    anchors = sections.Anchors()
    shown = [
        Section(
            table,
            f"artifact-{table.artifact.name}",
            sections.results_grid(table, ids, anchors),
            sections.claims_grid(table, anchors),
            artifact_charts(table, frames, data),
            table.notes,
            _still(svg),
            joint_text(table.joint),
            tuple(reported(frames)) if table.artifact.name == BESIDE else (),
        )
        for table, svg in tables
    ]
    shown.sort(key=lambda s: (FIRST + (s.table.artifact.name,)).index(s.table.artifact.name))
    every = sections.verdicts([(s.table, s.results, s.claims) for s in shown])
    runs = [
        (
            read_run(store.read_record(run.id, run.folder), path),
            run_charts(run_anchor(run.id), run, data),
        )
        for run in rows
        if run.id in ids
    ]
    charts = [c for s in shown for c in s.charts] + [c for _, found in runs for c in found]
    values = {
        "texts": texts.texts(),
        "runs": data.runs,
        "paper": data.paper,
        "charts": {chart["id"]: chart for chart in charts},
    }
    scripts = [_asset(name) for name in SCRIPTS]
    styles = [_asset(name) for name in STYLES]
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=WORDS["title"],
            sections=shown,
            first=[s for s in shown if s.table.artifact.name in FIRST],
            others=[s for s in shown if s.table.artifact.name not in FIRST],
            copies_heads=COPIES_HEADS,
            copies_note=COPIES_NOTE,
            verdicts=every,
            chips=sections.chips(every),
            summary=summary,
            not_attempted=not_attempted(),
            runs=runs,
            untold=len(rows) - len(runs),
            places=[data.index(run) for run in rows if run.id in ids],
            networks=_networks(),
            data=Markup(script_json(values)),
            scripts=[Markup(script) for script in scripts],
            styles=[Markup(style) for style in styles],
            policy=_policy(scripts, styles),
            library=_library(scripts[0]),
        )
    )
    write_atomic(path, text.encode())


def _by_depth(arm: tuple[str, str]) -> tuple[str, list[tuple[int, str]]]:
    """The order of a data set's arms: numbers in their names count as numbers."""
    dataset, name = arm
    return dataset, [(int(part) if part.isdigit() else 0, part) for part in _PARTS.split(name)]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {
        "t": texts.own,
        "label": texts.own_label,
        "only": texts.own_of,
        "said": texts.said,
        "column": _column,
        "chart_title": _chart_title,
    }
    environment.filters |= {"short": drawings.short, "shape": drawings.shape_text}
    return environment


def _column(title: str) -> Markup:
    """A column's head: a text of the page's own where there is one, or as the column says it."""
    key = title.replace(" ", "_")
    return texts.own(key) if key in WORDS else texts.said(title)


def _chart_title(chart: Chart) -> Markup:
    """A chart's title: a text of the page's own, or the words of a metric."""
    title = chart["title"]
    return texts.own(title) if title in WORDS else texts.said(METRICS[title].title)


def _networks() -> dict[str, Any] | None:
    """The drawings and what they are made from; None where the counts are not at hand."""
    names = dict.fromkeys((*FIG3, *BLOCKS, *CIFAR))
    if not all((COUNTS / f"{name}.json").exists() for name in names):
        return None
    found = {name: layers.read_network(COUNTS / f"{name}.json") for name in names}
    basic, bottleneck = (found[name] for name in BLOCKS)
    return {
        "fig2": Markup(
            drawings.block(
                "Fig. 2: a residual block",
                "x",
                [("weight layer", "ReLU"), ("weight layer", "F(x)")],
                shortcut="x, identity",
                leaves=("F(x) + x", "ReLU"),
            )
        ),
        "fig5": [
            ("ResNet-34", Markup(drawings.counted_block(basic, "layer1", 1, "ResNet-34's block"))),
            (
                "ResNet-50",
                Markup(drawings.counted_block(bottleneck, "layer1", 1, "ResNet-50's bottleneck")),
            ),
        ],
        "fig3": [Markup(svg) for svg in drawings.side_by_side([found[n] for n in FIG3])],
        "cifar": [(found[name], Markup(drawings.strip(found[name]))) for name in CIFAR],
    }


def _asset(name: str) -> str:
    """A file of the package's; it stands in the page as it is, newlines included."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """Nothing from anywhere: only these scripts and styles, and pictures within the page."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hashes(parts: Sequence[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _library(script: str) -> str:
    """The charting library's version, from its first line."""
    return script.partition("(v")[2].partition(")")[0]


def _still(drawing: Path) -> str:
    """A figure as a link that holds it: the drawing, or where that is large the picture beside."""
    picture = drawing.with_suffix(".png")
    if drawing.stat().st_size > LARGEST_DRAWING and picture.exists():
        return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.read_bytes()).decode()
