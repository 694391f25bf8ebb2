"""A run on photographs one of which is damaged: refused, or without it, as asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnet_repro.cli import main
from tests.photographs import make_imagenette


def test_a_damaged_photograph_is_fatal_or_left_out_as_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_imagenette(tmp_path / "imagenette")
    bad = sorted((root / "train").glob("*/*"))[0]
    bad.write_bytes(bad.read_bytes()[:200])
    words = [
        *("run", "imagenette", "--arms", "resnet18-A", "--protocol", "smoke", "--workers", "0"),
        *("--data-root", str(root), "--device", "cpu", "--kernels", "off"),
        *("--results-dir", str(tmp_path / "results"), "--cache-dir", str(tmp_path / "cache")),
    ]
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out.count(str(bad)) == 1
    assert shown.err.startswith("error: 1 of 60 images cannot be read")
    assert shown.err.count("\n") == 1

    assert main([*words, "--corrupt", "skip"]) == 0
    (execution,) = (tmp_path / "results").glob("imagenette/*/*/*/execution.json")
    told = json.loads(execution.read_text())
    assert told["skipped_images"] == [str(bad.relative_to(root))]
    assert told["command"].endswith(" --protocol smoke --corrupt skip")
