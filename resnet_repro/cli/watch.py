"""The command that follows a run."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from resnet_repro import paths
from resnet_repro.cli.console import console
from resnet_repro.cli.options import Results, as_path
from resnet_repro.errors import UserError
from resnet_repro.monitor.snapshot import ending, follow
from resnet_repro.monitor.terminal import WatchDisplay
from resnet_repro.records import store
from resnet_repro.records.files import is_file
from resnet_repro.records.lease import is_held
from resnet_repro.records.schema import RunId
from resnet_repro.records.state import heard


def watch(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="dataset/arm/protocol/seedK or a record's folder; the newest under way if not.",
        ),
    ] = None,
    results_dir: Results = paths.LOCAL,
) -> None:
    """Follow a run: its curves beside the paper's at the same iteration. Ctrl-C leaves."""
    folder = find(run, results_dir)
    out = console()

    def name_others() -> None:
        others = [str(other) for other, path in all_under_way(results_dir) if path != folder]
        if others and run is None:
            out.print("also under way:", ", ".join(others), highlight=False, soft_wrap=True)

    name_others()
    try:
        with WatchDisplay(out) as display:
            seen = follow(folder, display.show)
    except KeyboardInterrupt:
        return  # the ordinary way to leave; the run goes on
    out.print(ending(seen), highlight=False, soft_wrap=True)
    name_others()  # once more, as a picture may have taken hours


def all_under_way(results: Path) -> list[tuple[RunId, Path]]:
    """The runs below `results` that a process trains, and their folders; the last heard first."""
    found = [
        (run, folder)
        for run, folder in store.find_runs(results)
        if not store.is_done(folder) and is_held(folder)
    ]
    return sorted(found, key=lambda item: heard(item[1]), reverse=True)


def find(name: str | None, results: Path) -> Path:
    """The folder of a run: its record's folder, `dataset/arm/protocol/seedK` below `results`.

    Without a name, that of the run under way which was heard last. Raises UserError when there
    is none.
    """
    if name is None:
        for _, folder in all_under_way(results):
            return folder
        raise UserError(
            f"no run is under way in {results}: start one, or name a recorded one as "
            "dataset/arm/protocol/seedK (`status` lists them)"
        )
    runs = dict(store.find_runs(results))
    for folder in (results / name, as_path(name)):
        if is_file(folder / "spec.json"):
            return folder
    near = difflib.get_close_matches(name, [str(run) for run in runs], n=1, cutoff=0.0)
    such = f", such as {near[0]}" if near else ""
    raise UserError(
        f"no run {name} in {results}: give dataset/arm/protocol/seedK or its folder{such}"
    )
