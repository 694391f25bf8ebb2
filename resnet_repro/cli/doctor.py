"""The command that says what this machine and installation can do."""

from __future__ import annotations

from dataclasses import asdict

from resnet_repro import paths
from resnet_repro.cli.console import console, print_json, print_rows
from resnet_repro.cli.options import CACHE, AsJson, Cache, DataRoot, Results


def doctor(
    data_root: DataRoot = None,
    results_dir: Results = paths.LOCAL,
    cache_dir: Cache = CACHE,
    as_json: AsJson = False,
) -> None:
    """Versions, processor, kernels, CUDA, memory, data, folders, and what `auto` will choose."""
    from resnet_repro.sweep.doctor import examine

    folders = (("records", results_dir), ("figures", paths.FIGURES), ("cache", cache_dir))
    found = examine(data_root, folders)
    if as_json:
        print_json({"findings": [asdict(one) for one in found]})
        return
    rows = [(one.what, one.found, one.advice) for one in found]
    print_rows(console(), "This machine and installation", ("what", "found", "to do"), rows)
