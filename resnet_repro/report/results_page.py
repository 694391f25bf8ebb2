"""docs/results.md: every artifact with its table, figure and claims, and what is not recorded.

One input gives one output, byte for byte. Every number of ours leads to the record it comes
from: one run to its folder, several to the folder that holds them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from resnet_repro.markup import Grid, Markup, as_link, markdown_grid, markdown_text
from resnet_repro.paper import artifacts
from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.records.evaluations import DENSE
from resnet_repro.records.metrics import COUNTED
from resnet_repro.records.schema import RunId
from resnet_repro.report import render
from resnet_repro.report.claims import ClaimRow
from resnet_repro.report.columns import CLAIMS, RESULTS, text_grid
from resnet_repro.report.load.evaluations import CROPS, below, evaluations_wanted, wanted_command
from resnet_repro.report.load.frames import Frames, Run
from resnet_repro.report.load.view import arms_shown
from resnet_repro.report.sections.error_at_first_drop import (
    first_grid,
    first_lines,
    first_rows,
    first_words,
)
from resnet_repro.report.sections.layer_responses import (
    RESPONSES_NOTE,
    layer_responses,
    responses_grid,
)
from resnet_repro.report.sections.other_reproductions import (
    NOTE,
    TITLE,
    Reported,
    reported,
    reproductions_grid,
)
from resnet_repro.report.sections.short_vs_full import (
    QUARTER,
    agreement,
    prediction_grid,
    predictions,
)
from resnet_repro.report.tables import ResultRow, Table, table
from resnet_repro.report.todo import (
    KEPT_PROTOCOLS,
    NOT_MEASURED,
    missing_evaluations,
    missing_grid,
    missing_runs,
)

HEAD = """# Results

Written by `make report` from the records alone; do not edit. Each number of ours leads to the
record it comes from. A result is the last iterate on the test set (of ImageNet, the validation
set), the mean over every seed run; the words of the verdicts are explained under each table. What
nobody has run yet is listed [at the end](#missing), with the command and the hours it would take.
"""

LinkTo = Callable[[Path], str]


def results_page(
    path: Path, results_dirs: Sequence[Path], frames: Frames, figures_dir: Path
) -> str:
    """The page's text; `path` is where it will lie, for links relative to it."""

    def link(target: Path) -> str:
        return as_link(target.resolve(), path.parent.resolve())

    found = [artifacts.load(name).artifact for name in artifacts.names()]
    shown = [a for a in found if a.protocol in KEPT_PROTOCOLS or _recorded(a, frames)]
    lines = "".join(f"- [{a.title}](#{heading_anchor(a.title)})\n" for a in shown)
    parts = [HEAD, f"{lines}- [{TITLE}](#{heading_anchor(TITLE)})\n"]
    for artifact in shown:
        parts += _section(table(artifact, frames), results_dirs, frames, figures_dir, link)
    parts += _copies(frames, link)
    parts += _first_rows(frames, link)
    parts += _responses(frames, link)
    parts += _prediction(frames, link)
    parts += _missing(shown, frames)
    return "\n".join(parts)


def heading_anchor(title: str) -> str:
    """The anchor GitHub gives a heading: lower case, hyphens for spaces, no other signs."""
    kept = (c for c in title.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _section(
    found: Table, results_dirs: Sequence[Path], frames: Frames, figures_dir: Path, link: LinkTo
) -> list[str]:
    artifact = found.artifact
    parts = [
        f"## {artifact.title}\n",
        f"{artifact.says} ({artifact.section})\n",
        f"{markdown_text(found.caption)}\n",
    ]
    figure = figures_dir / f"{artifact.stem}.svg"
    if _recorded(artifact, frames) and figure.exists():
        parts.append(f"[![{artifact.title}]({link(figure)})]({link(figure)})\n")
    targets = [_of_row(row, artifact, results_dirs, frames) for row in found.rows]
    ours = [c.title for c in RESULTS if c.ours and c.number]
    cells = _linked(text_grid(RESULTS, found.rows), ours, found.rows, targets, link)
    parts.append(markdown_grid(cells))
    if found.joint:
        parts.append(f"{render.joint_text(found.joint)}\n")
    if found.claims:
        parts += [
            "### Claims\n",
            markdown_grid(_claims(found.claims, artifact, frames, link)),
        ]
    return [*parts, *(f"{markdown_text(note)}\n" for note in found.notes)]


def _recorded(artifact: Artifact, frames: Frames) -> bool:
    """Whether anything of it is; its figure may be an older one where nothing is."""
    if artifact.counted:
        return any(frames.count_of(arm.network) for arm in artifact.arms)
    if artifact.ensemble:
        return bool(frames.ensembles_of(artifact))
    return any(frames.runs_of(dataset, arm) for dataset, arm in arms_shown(artifact))


def _folder(runs: Sequence[Run]) -> Path | None:
    """One run's folder, or the folder that holds several."""
    folders = [str(run.folder.resolve()) for run in runs]
    return Path(os.path.commonpath(folders)) if folders else None


def _of_row(
    row: ResultRow, artifact: Artifact, results_dirs: Sequence[Path], frames: Frames
) -> Path | None:
    """Where a row's numbers come from; None for those of other work."""
    if row.quoted:
        return None
    if artifact.ensemble:
        return next((e.file for e in frames.ensembles_of(artifact) if e.name == row.arm), None)
    runs = frames.runs_of(row.dataset, row.arm, row.protocol or None)
    if row.metric in COUNTED and (artifact.counted or not runs):
        files = [folder / "counts" / f"{row.network}.json" for folder in results_dirs]
        return next((file for file in files if file.exists()), None)
    return _folder(runs)


def _leading(cell: str, target: Path | None, link: LinkTo) -> str:
    """The cell as a link to where its number comes from; as it is without either."""
    if not cell or target is None:
        return cell
    return Markup(f"[{markdown_text(cell)}]({link(target)})")


def _linked(
    cells: Grid,
    columns: Sequence[str],
    rows: Sequence[ResultRow],
    targets: Sequence[Path | None],
    link: LinkTo,
) -> Grid:
    """The grid with the cells of those columns leading to each row's target.

    A best seed is ours only where we have one: alone, the published best leads nowhere.
    """
    ours = [i for i, name in enumerate(cells.columns) if name in columns]
    lines = []
    for line, row, target in zip(cells.rows, rows, targets, strict=True):
        new = list(line)
        for i in ours:
            mine = cells.columns[i] != "best seed" or row.ours.best is not None
            if mine:
                new[i] = _leading(line[i], target, link)
        lines.append(tuple(new))
    return replace(cells, rows=tuple(lines))


def _claims(claims: Sequence[ClaimRow], artifact: Artifact, frames: Frames, link: LinkTo) -> Grid:
    """The claims' grid; either side that is an arm leads to its own runs."""
    cells = text_grid(CLAIMS, claims)
    lines = []
    for line, row in zip(cells.rows, claims, strict=True):
        new = list(line)
        for side, name, seeds in (
            ("higher", row.claim.higher, row.higher_seeds),
            ("lower", row.claim.lower, row.lower_seeds),
        ):
            runs = [r for r in frames.runs_of(row.dataset, name, row.protocol) if r.seed in seeds]
            i = cells.columns.index(side)
            new[i] = _leading(line[i], _folder(runs), link)
        lines.append(tuple(new))
    return replace(cells, rows=tuple(lines))


def _copies(frames: Frames, link: LinkTo) -> list[str]:
    rows = reported(frames)
    cells = reproductions_grid(rows)
    lines = [
        _copy_line(row, line, frames, link) for row, line in zip(rows, cells.rows, strict=True)
    ]
    text = markdown_grid(replace(cells, rows=tuple(lines)))
    return [f"## {TITLE}\n", text, f"{NOTE}\n"]


def _copy_line(
    row: Reported, line: tuple[str, ...], frames: Frames, link: LinkTo
) -> tuple[str, ...]:
    """Our number leads to its records, a copy's source to its repository."""
    new = list(line)
    folder = _folder(frames.runs_of("cifar10", row.arm, row.protocol)) if row.protocol else None
    new[1] = _leading(row.text, folder, link)
    if row.url:
        new[5] = Markup(f"[{row.source}]({row.url})")
    return tuple(new)


def _prediction(frames: Frames, link: LinkTo) -> list[str]:
    rows = predictions(frames)
    parts = ["## How well `quarter` predicts `paper`\n"]
    if rows:
        cells = prediction_grid(rows)
        lines = []
        for row, line in zip(rows, cells.rows, strict=True):
            new = list(line)
            for i, protocol in ((1, QUARTER), (2, PAPER_PROTOCOL)):
                folder = _folder(frames.runs_of(row.dataset, row.arm, protocol))
                new[i] = _leading(line[i], folder, link)
            lines.append(tuple(new))
        parts.append(markdown_grid(replace(cells, rows=tuple(lines))))
    return [*parts, f"{agreement(rows)}\n"]


def _first_rows(frames: Frames, link: LinkTo) -> list[str]:
    rows = first_rows(frames)
    if not rows:
        return []
    found = first_lines(rows)
    cells = first_grid(found)
    lines = []
    for row, line in zip(found, cells.rows, strict=True):
        new = list(line)
        if row.ours:
            folder = _folder(frames.runs_of("cifar10", row.arm, PAPER_PROTOCOL))
            new[1:3] = [_leading(cell, folder, link) for cell in row.cells]
        elif row.url:
            new[4] = Markup(f"[{row.source}]({row.url})")
        lines.append(tuple(new))
    text = markdown_grid(replace(cells, rows=tuple(lines)))
    return ["## The first rows beside Fig. 6\n", text, f"{first_words(rows)}\n"]


def _responses(frames: Frames, link: LinkTo) -> list[str]:
    rows = layer_responses(frames)
    if not rows:
        return []
    cells = responses_grid(rows)
    lines = []
    for row, line in zip(rows, cells.rows, strict=True):
        folder = _folder(frames.runs_of("cifar10", row.arm, PAPER_PROTOCOL))
        lines.append((*line[:3], _leading(line[3], folder, link), *line[4:]))
    text = markdown_grid(replace(cells, rows=tuple(lines)))
    return ["## The layers' responses beside Fig. 7\n", text, f"{RESPONSES_NOTE}\n"]


def _missing(shown: Sequence[Artifact], frames: Frames) -> list[str]:
    rows = missing_runs(shown, frames)
    parts = ["## Missing\n"]
    if rows:
        parts += [
            "Runs without a record under the protocol that an artifact asks for, one seed of "
            "everything before the second of anything. The hours are those of training alone, "
            "scaled from the recorded runs of the same data set by the networks' work; a longer "
            "or wider network may make better use of a machine. Protocol `quarter` takes a quarter "
            f"of those under `paper`. *{NOT_MEASURED.capitalize()}*: nothing of that data set was "
            "run on the machine.\n",
            markdown_grid(missing_grid(rows)),
        ]
    else:
        parts.append("Nothing: every run that an artifact wants is recorded.\n")
    parts += _missing_tests(shown, frames)
    return parts


def _missing_tests(shown: Sequence[Artifact], frames: Frames) -> list[str]:
    """Evaluations of recorded runs that are wanting, and what is to follow the other runs."""
    parts = []
    later = [a for a in shown if not a.ensemble and set(evaluations_wanted(a)) & set(CROPS)]
    if later:
        commands = {
            name: wanted_command(["RUN"], name) for a in later for name in evaluations_wanted(a)
        }
        listed = "; ".join(
            f"`{command}` ({', '.join(a.name for a in later if name in evaluations_wanted(a))})"
            for name, command in commands.items()
        )
        parts.append(
            "A run on ImageNet is evaluated when it is recorded, unless that was done at its end; "
            f"RUN is its folder: {listed}.\n"
        )
    cells = missing_evaluations(shown, frames)
    if cells.rows:
        parts += ["Recorded, but not evaluated yet:\n", markdown_grid(cells)]
    wanted = [a for a in shown if a.ensemble and not _recorded(a, frames)]
    for artifact in wanted:
        runs = [
            below(RunId(arm.dataset, arm.name, artifact.protocol, seed))
            for arm in artifact.arms
            for seed in range(arm.seeds)
        ]
        command = wanted_command(runs, DENSE)
        parts.append(f"{artifact.name} wants an ensemble of its runs: `{command}`.\n")
    return parts
