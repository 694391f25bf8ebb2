"""The commands that show what there is, check it and report on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resnet_repro import paths
from resnet_repro.cli.options import (
    AsJson,
    DataRoot,
    Results,
    console,
    json_text,
    print_json,
)
from resnet_repro.display import artifact_rows, print_rows, stage_rows, status_rows
from resnet_repro.errors import UserError
from resnet_repro.records.files import write_atomic
from resnet_repro.sweep import status as overview


def list_command(results_dir: Results = paths.LOCAL, as_json: AsJson = False) -> None:
    """The artifacts, and what is recorded of each."""
    found = overview.list_artifacts([paths.RECORDED, results_dir])
    if as_json:
        print_json(found)
        return
    print_rows(console(), "Artifacts", *artifact_rows(found))


def describe(
    network: str,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON here instead.")
    ] = None,
) -> None:
    """A network's layers, parameters and multiply-adds, stage by stage, counted."""
    from resnet_repro.models import describe as counting

    found = counting.to_json(counting.describe(network))
    if out is not None:
        write_atomic(out, json_text(found).encode())
        return
    if as_json:
        print_json(found)
        return
    shape = " x ".join(str(n) for n in found["input"])
    print_rows(console(), f"{network}, one {shape} image", *stage_rows(found))


def status(results_dir: Results = paths.LOCAL, as_json: AsJson = False) -> None:
    """Every run in your results folder and how far it is."""
    found = overview.status(results_dir)
    if as_json:
        print_json(found)
        return
    print_rows(console(), "Runs", *status_rows(found))


def compare(artifact: str, results_dir: Results = paths.LOCAL, as_json: AsJson = False) -> None:
    """Published, recorded and yours, side by side."""
    from resnet_repro.report.write import compare_json, compare_rows

    if as_json:
        print_json({"artifact": artifact, **compare_json(artifact, paths.RECORDED, results_dir)})
        return
    columns, rows, lines = compare_rows(artifact, paths.RECORDED, results_dir)
    out = console()
    print_rows(out, artifact, columns, rows)
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def report(
    artifact: Annotated[
        list[str] | None, typer.Argument(help="Some artifacts; all that have records if not.")
    ] = None,
    results_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Records to report on.")
    ] = paths.RECORDED,
    figures_dir: Annotated[Path, typer.Option(metavar="DIR")] = paths.FIGURES,
    tables_dir: Annotated[Path, typer.Option(metavar="DIR")] = paths.TABLES,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The HTML page; report.html beside the tables' folder."),
    ] = None,
    readme: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file whose marked parts are renewed; repeatable."),
    ] = None,
    results_page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Markdown page of every artifact.")
    ] = None,
) -> None:
    """Write every table and figure from the records alone."""
    from resnet_repro.report.write import write_report

    written = write_report(
        [results_dir],
        figures_dir,
        tables_dir,
        artifact or None,
        page=page or tables_dir.parent / "report.html",
        readmes=readme or (),
        results_page=results_page,
    )
    for path in written:
        console().print(f"wrote {path}", highlight=False, soft_wrap=True)


def verify(
    results_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Records to check.")
    ] = paths.RECORDED,
    as_json: AsJson = False,
) -> None:
    """Check every finished record: schema, hashes, completeness, agreement."""
    found = overview.verify(results_dir)
    if as_json:
        print_json(found)
    else:
        for item in found["problems"]:
            console().print(f"{item['run']}: {item['problem']}", highlight=False, soft_wrap=True)
        console().print(f"{found['records']} records, {len(found['problems'])} problems")
    if found["problems"]:
        raise typer.Exit(1)


def data(
    name: Annotated[
        str,
        typer.Argument(help="cifar10, cifar10-45k, digits, imagenet, imagenette or image-folder."),
    ],
    data_root: DataRoot = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch CIFAR-10 first (170 MB).")
    ] = False,
) -> None:
    """Read a data set and say what is in it."""
    from resnet_repro.data import cifar10, load
    from resnet_repro.data.dataset import Dataset

    if download:
        if not name.startswith("cifar10"):
            raise UserError(f"{name} needs no download")
        cifar10.download(data_root or cifar10.default_root())
    found = load(name, data_root)
    shape = "files"
    if isinstance(found, Dataset):
        shape = " x ".join(str(n) for n in found.train.images.shape[1:])
    rows = [
        (split, len(part), shape, part.digest)
        for split, part in (("train", found.train), ("test", found.test))
    ]
    print_rows(console(), name, ("split", "images", "shape", "digest"), rows)
