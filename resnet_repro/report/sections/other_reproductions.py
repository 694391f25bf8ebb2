"""What public copies of the paper report, beside the paper's own values and ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnet_repro.markup import Grid, latex_grid, markdown_grid
from resnet_repro.messages import _
from resnet_repro.models.names import parse
from resnet_repro.paper.artifacts import Published
from resnet_repro.paper.other_reproductions import load_reproductions
from resnet_repro.paper.published import CIFAR_ITERATIONS, curve_name, published_for
from resnet_repro.report.columns import Cell, published_text, recorded_text
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.seeds import outcomes
from resnet_repro.report.render import csv_text
from resnet_repro.report.verdicts.rule import summarise

NAME = "copies"
TITLE = "CIFAR-10: the paper, this suite, and what public copies report"
NOTE = _(
    "The best test epoch is chosen on the test set and flatters; numbers of another length of "
    "training, or of another iterate, are not comparable with the paper's. *Not stated*: neither "
    "the source nor the code beside it says."
)
BESIDE = "table6"  # the artifact that this table goes with
HEADS = (
    _("network"),
    _("test error, %"),
    _("iterate"),
    _("training images"),
    _("schedule"),
    _("source"),
    _("where"),
    _("caveat"),
)
IMAGES = 50_000  # section 4.2: trained on the training set; ours too, on `cifar10`


@dataclass(frozen=True)
class Reported:
    """A network's test error as somebody reports it; the text shows it as printed there."""

    arm: str
    text: str
    value: float
    iterate: str
    images: int
    schedule: str
    source: str
    where: str
    note: str
    url: str = ""  # of a copy
    protocol: str = ""  # of ours


def reported(suite: Frames, yours: Frames | None = None) -> list[Reported]:
    """Network by network: the paper's value, the suite's by protocol, then the copies by name.

    yours: a user's own runs, which then follow the suite's.
    """
    copies = load_reproductions()
    rows: list[Reported] = []
    for arm in sorted({copy.arm for copy in copies}, key=_order):
        rows += [_paper(arm), *_ours(arm, suite, _("suite"))]
        rows += _ours(arm, yours, _("yours")) if yours else []
        rows += [
            Reported(
                arm,
                f"{copy.test_error:.2f}",
                copy.test_error,
                copy.which_iterate,
                copy.training_images,
                copy.schedule,
                copy.source,
                copy.file,
                copy.note,
                url=copy.url,
            )
            for copy in sorted(copies, key=lambda c: (c.source, c.file))
            if copy.arm == arm
        ]
    return rows


def _order(arm: str) -> tuple[bool, int]:
    """Residual nets first, as in Table 6, by depth."""
    network = parse(arm)
    return network.plain, network.depth


def _paper(arm: str) -> Reported:
    source = "fig6" if parse(arm).plain else "table6"
    value = published_for(Published(arm, "test_error", source, str(curve_name(arm))))[0]
    return Reported(
        arm,
        published_text(value, "test_error").removesuffix(f" ({value.where})"),
        value.value,
        "last",
        IMAGES,
        f"{CIFAR_ITERATIONS:,} iterations",
        _("paper"),
        value.where,
        "",
    )


def _ours(arm: str, frames: Frames, source: str) -> list[Reported]:
    rows = []
    for protocol in frames.protocols_of("cifar10", arm):
        ours = summarise(outcomes(frames, "cifar10", arm, protocol, "test_error"))
        lengths = {run.schedule for run in frames.runs_of("cifar10", arm, protocol)}
        if ours.mean is not None:
            text = recorded_text(ours, "test_error")
            schedule = " or ".join(f"{n:,} iterations" for n in sorted(lengths))
            where = _("protocol {name}", name=protocol)
            rows.append(
                Reported(
                    arm, text, ours.mean, "last", IMAGES, schedule, source, where, "",
                    protocol=protocol,
                )
            )  # fmt: skip
    return rows


def reproductions_grid(rows: Sequence[Reported]) -> Grid:
    """As cells of text."""
    return Grid(
        HEADS,
        tuple(
            (
                row.arm,
                row.text,
                row.iterate,
                f"{row.images:,}",
                row.schedule,
                row.source,
                row.where,
                row.note,
            )
            for row in rows
        ),
    )


def reproductions_texts(frames: Frames) -> dict[str, str]:
    """The table as Markdown, CSV and LaTeX, by file name."""
    rows = reported(frames)
    cells = reproductions_grid(rows)
    return {
        f"{NAME}.md": f"# {TITLE}\n\n{markdown_grid(cells)}\n{NOTE}\n",
        f"{NAME}.csv": csv_text(reproductions_rows(rows)),
        f"{NAME}.tex": latex_grid(cells, TITLE, f"tab:{NAME}"),
    }


def reproductions_rows(rows: Sequence[Reported]) -> list[dict[str, Cell]]:
    """As plain values."""
    return [
        {
            "arm": row.arm,
            "test_error": round(row.value, 6),
            "iterate": row.iterate,
            "training_images": row.images,
            "schedule": row.schedule,
            "source": row.source,
            "where": row.where,
            "url": row.url or None,
            "caveat": row.note or None,
        }
        for row in rows
    ]
