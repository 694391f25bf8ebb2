"""The command that follows a run."""

from __future__ import annotations

from typing import Annotated

import typer

from resnet_repro import runner
from resnet_repro.cli.options import Results, console
from resnet_repro.watch_display import WatchDisplay
from resnet_repro.watching import ending, find, follow


def watch(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="dataset/arm/protocol/seedK or a record's folder; the newest under way if not.",
        ),
    ] = None,
    results_dir: Results = runner.LOCAL,
) -> None:
    """Follow a run: its curves beside the paper's at the same iteration. Ctrl-C leaves."""
    folder = find(run, results_dir)
    out = console()
    try:
        with WatchDisplay(out) as display:
            seen = follow(folder, display.show)
    except KeyboardInterrupt:
        return  # the ordinary way to leave; the run goes on
    out.print(ending(seen), highlight=False, soft_wrap=True)
