"""The command that shows your runs."""

from __future__ import annotations

from typing import Any

from resnet_repro import paths
from resnet_repro.cli.console import Rows, console, print_json, print_rows
from resnet_repro.cli.options import AsJson, Results
from resnet_repro.sweep import status as overview


def status(results_dir: Results = paths.LOCAL, as_json: AsJson = False) -> None:
    """Every run in your results folder and how far it is."""
    found = overview.status(results_dir)
    if as_json:
        print_json(found)
        return
    print_rows(console(), "Runs", *status_rows(found))


def status_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of overview.status."""
    return ("run", "state", "iteration", "test error %", ""), [
        (
            f"{r['dataset']}/{r['arm']}/{r['protocol']}/seed{r['seed']}",
            r["state"],
            f"{r['iteration']}/{r['iterations'] or '?'}",
            "" if r["test_error"] is None else f"{r['test_error']:.2f}",
            r["detail"],
        )
        for r in found["runs"]
    ]
