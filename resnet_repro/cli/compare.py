"""The command that sets published, recorded and your own values side by side."""

from __future__ import annotations

from resnet_repro import paths
from resnet_repro.cli.console import console, print_json, print_rows
from resnet_repro.cli.options import Artifact, AsJson, Results


def compare(
    artifact: Artifact, results_dir: Results = paths.LOCAL, as_json: AsJson = False
) -> None:
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
