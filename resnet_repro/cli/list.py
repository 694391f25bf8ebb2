"""The command that lists the artifacts."""

from __future__ import annotations

from typing import Any

from resnet_repro import paths
from resnet_repro.cli.console import Rows, console, print_json, print_rows
from resnet_repro.cli.options import AsJson, Results
from resnet_repro.sweep import status as overview


def list_command(results_dir: Results = paths.LOCAL, as_json: AsJson = False) -> None:
    """The artifacts, and what is recorded of each."""
    found = overview.list_artifacts([paths.RECORDED, results_dir])
    if as_json:
        print_json(found)
        return
    print_rows(console(), "Artifacts", *artifact_rows(found))


def artifact_rows(found: dict[str, Any]) -> Rows:
    """Columns and rows of overview.list_artifacts."""
    return ("artifact", "paper", "title", "recorded"), [
        (
            item["name"],
            item["section"],
            item["title"],
            ", ".join(f"{n} {protocol}" for protocol, n in item["recorded"].items()) or "none",
        )
        for item in found["artifacts"]
    ]
