"""The command that sets the paper, the suite and your own runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from resnet_repro import paths
from resnet_repro.cli.console import console, print_json, print_rows
from resnet_repro.cli.options import Arms, Artifact, AsJson, Results, as_path, names
from resnet_repro.paper import artifacts

if TYPE_CHECKING:  # which loads pandas
    from resnet_repro.report.comparison import Comparison


def compare(
    artifact: Artifact,
    arms: Arms = "",
    results_dir: Results = paths.LOCAL,
    copies: Annotated[
        bool, typer.Option("--copies", help="Show what other reproductions report, too.")
    ] = False,
    figures_dir: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="DIR", help="Draw it there, paper, suite and yours."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The paper, the suite and yours, side by side."""
    from resnet_repro.report.comparison import compare_records, comparison_json

    whole = artifacts.load(artifact).artifact
    asked = whole.only([whole.arm(name) for name in names(arms)]) if arms else whole
    found = compare_records(asked, paths.RECORDED, results_dir)
    out = console(stderr=as_json)
    if as_json:
        print_json({"artifact": artifact, **comparison_json(found, copies=copies)})
    else:
        print_comparison(out, found, copies=copies)
    if figures_dir is not None:
        from resnet_repro.report.write import write_figure

        drawn = write_figure(artifact, paths.RECORDED, results_dir, figures_dir)
        lines = [f"wrote {path}" for path in drawn] or [
            f"No figure: {results_dir} holds no finished run of {artifact}."
        ]
        for line in lines:
            out.print(line, highlight=False, soft_wrap=True)


def print_comparison(out: Console, found: Comparison, *, copies: bool = False) -> None:
    """Print its tables and the lines below them."""
    from resnet_repro.report.comparison import comparison_grids, comparison_lines

    for title, grid in comparison_grids(found, copies=copies):
        print_rows(out, title, grid.columns, grid.rows)
    lines = comparison_lines(found)
    if copies and not found.copies:
        lines.append("No other reproduction of these networks is known here.")
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)
