"""Everything `report` writes: a table in three formats and a figure for each artifact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resnet_repro.errors import UserError
from resnet_repro.markup import markdown_grid
from resnet_repro.messages import joined, translated
from resnet_repro.paper import artifacts
from resnet_repro.paper.artifacts import Experiment
from resnet_repro.records.files import read_text, write_atomic
from resnet_repro.report import render
from resnet_repro.report.columns import CLAIMS, RESULTS, SIDE_BY_SIDE, plain_rows, text_grid
from resnet_repro.report.load.frames import Frames
from resnet_repro.report.load.records import read_frames
from resnet_repro.report.load.view import View, make_view
from resnet_repro.report.results_page import results_page as page_text
from resnet_repro.report.sections.first_table import first_table
from resnet_repro.report.sections.other_reproductions import BESIDE, reproductions_texts
from resnet_repro.report.sections.summary import count_states, not_attempted
from resnet_repro.report.side_by_side import SideBySide, side_by_side
from resnet_repro.report.tables import Table, table
from resnet_repro.report.throughput import pace

ALL = "results.csv"  # every number of every artifact in one table


def write_report(
    results_dirs: Sequence[Path],
    figures_dir: Path,
    tables_dir: Path,
    names: Sequence[str] | None = None,
    *,
    suite: Path | None = None,
    page: Path | None = None,
    readmes: Sequence[Path] = (),
    results_page: Path | None = None,
) -> list[Path]:
    """Write tables and figures of every artifact that has records; returns the files.

    names: these artifacts only. One without records is passed over, so that the list
    is empty when there is nothing to show. suite: the suite's records, where the others are a
    user's own: tables and figures then show both beside the paper. page: where the HTML page
    goes; readmes: Markdown files whose marked parts are renewed; results_page: where the Markdown
    page of all artifacts goes, whatever the names. Raises UserError for an unknown artifact, for a
    damaged record, and when a folder cannot be written.
    """
    # Here, as `compare` draws nothing and starts sooner without.
    from resnet_repro.report.page import write_page

    frames = read_frames(results_dirs)
    suite_frames = read_frames([suite]) if suite else None
    written: list[Path] = []
    shown: list[tuple[Table, Path]] = []
    tables: list[Table] = []
    for name in artifacts.names() if names is None else names:
        experiment = artifacts.load(name)
        found = table(experiment.artifact, frames)
        tables.append(found)
        view = make_view(experiment.artifact, frames, suite_frames)
        if view.empty:
            continue
        both = side_by_side(experiment.artifact, suite_frames, frames) if suite_frames else None
        written += write_tables(found, tables_dir, both)
        if name == BESIDE:
            written += _write_texts(reproductions_texts(frames), tables_dir)
        drawn = draw_figure(experiment, view, figures_dir)
        written += drawn
        shown.append((found, drawn[0]))
    if names is None and shown:
        written += _write_texts({ALL: all_results(tables)}, tables_dir)
    if page is not None and shown:
        write_page(page, shown, count_states(tables), frames)
        written.append(page)
    for readme in readmes:
        for marker, text in readme_parts(frames, language_of(readme)).items():
            update_between_markers(readme, marker, text)
        written.append(readme)
    if results_page is not None:
        text = page_text(results_page, results_dirs, frames, figures_dir)
        write_atomic(results_page, text.encode())
        written.append(results_page)
    return written


def draw_figure(experiment: Experiment, view: View, folder: Path) -> list[Path]:
    """Draw what a view shows; the files."""
    # Here, as a table alone draws nothing and is made sooner without.
    from resnet_repro.report.plots.digest import plotted_digest
    from resnet_repro.report.plots.files import save
    from resnet_repro.report.plots.style import style

    with style():
        figure = experiment.draw(view)
    return save(figure, folder, experiment.artifact.stem, plotted_digest(view))


def write_figure(name: str, suite: Path, yours: Path, folder: Path) -> list[Path]:
    """Draw one artifact with the paper's, the suite's and the user's own; none without records."""
    experiment = artifacts.load(name)
    frames, theirs = read_frames([yours]), read_frames([suite])
    view = make_view(experiment.artifact, frames, theirs)
    return [] if view.empty else draw_figure(experiment, view, folder)


def language_of(path: Path) -> str:
    """The language a file's name says: `zh_CN` of README.zh-CN.md; empty of one that says none."""
    return "_".join(path.stem.split(".")[1:]).replace("-", "_")


def readme_parts(frames: Frames, language: str = "") -> dict[str, str]:
    """What stands in the README between the markers of each name."""
    tables = [table(artifacts.load(name).artifact, frames) for name in artifacts.names()]
    state = joined(" ", (count_states(tables).sentence, not_attempted()))
    return {
        "state": (language and translated(state, language)) or state,
        "table6": markdown_grid(first_table(frames)),
        "time": markdown_grid(pace(frames)),
    }


def all_results(tables: Sequence[Table]) -> str:
    """Every row of these tables as CSV, with its artifact."""
    return render.csv_text(
        [
            {"artifact": found.artifact.name, **row}
            for found in tables
            for row in plain_rows(RESULTS, found.rows)
        ]
    )


def write_tables(
    found: Table, folder: Path, both: Sequence[SideBySide] | None = None
) -> list[Path]:
    """Write an artifact's table as Markdown, CSV and LaTeX, and its claims as CSV.

    both: rows of the suite beside those of a user, in place of the table's own.
    """
    name = found.artifact.name
    grid = text_grid(RESULTS, found.rows) if both is None else text_grid(SIDE_BY_SIDE, both)
    rows = plain_rows(RESULTS, found.rows) if both is None else plain_rows(SIDE_BY_SIDE, both)
    texts = {
        f"{name}.md": render.markdown(found, grid),
        f"{name}.csv": render.csv_text(rows),
        f"{name}.tex": render.latex(found, grid),
    }
    if found.claims:
        texts[f"{name}_claims.csv"] = render.csv_text(plain_rows(CLAIMS, found.claims))
    return _write_texts(texts, folder)


def _write_texts(texts: dict[str, str], folder: Path) -> list[Path]:
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [folder / name for name in texts]


def update_between_markers(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name:start -->` and `<!-- name:end -->` in a file.

    Raises UserError when the two markers are not there once each, in that order.
    """
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    old = read_text(path)
    head, _, rest = old.partition(start)
    _, _, tail = rest.partition(end)
    if (old.count(start), old.count(end)) != (1, 1) or end not in rest:
        raise UserError(f"{path} needs one line {start} and, below it, one line {end}")
    new = f"{head}{start}\n{text.strip()}\n{end}{tail}"
    if new != old:
        write_atomic(path, new.encode())
