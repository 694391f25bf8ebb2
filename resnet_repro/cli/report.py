"""The command that writes tables, figures and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_repro import paths
from resnet_repro.cli.console import console
from resnet_repro.cli.options import as_path


def report(
    artifact: Annotated[
        list[str] | None, typer.Argument(help="Some artifacts; all that have records if not.")
    ] = None,
    results_dir: Annotated[
        Path, typer.Option(parser=as_path, metavar="DIR", help="Records to report on.")
    ] = paths.RECORDED,
    figures_dir: Annotated[Path, typer.Option(parser=as_path, metavar="DIR")] = paths.FIGURES,
    tables_dir: Annotated[Path, typer.Option(parser=as_path, metavar="DIR")] = paths.TABLES,
    page: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="FILE",
            help="The HTML page; report.html beside the tables' folder.",
        ),
    ] = None,
    readme: Annotated[
        list[Path] | None,
        typer.Option(
            parser=as_path,
            metavar="FILE",
            help="A file whose marked parts are renewed; repeatable.",
        ),
    ] = None,
    results_page: Annotated[
        Path | None,
        typer.Option(parser=as_path, metavar="FILE", help="A Markdown page of every artifact."),
    ] = None,
) -> None:
    """Write every table and figure from the records alone."""
    from resnet_repro.report.write import write_report

    written = write_report(
        [results_dir],
        figures_dir,
        tables_dir,
        artifact or None,
        suite=None if results_dir == paths.RECORDED else paths.RECORDED,
        page=page or tables_dir.parent / "report.html",
        readmes=readme or (),
        results_page=results_page,
    )
    for path in written:
        console().print(f"wrote {path}", highlight=False, soft_wrap=True)
