"""A run on photographs one of which is damaged: refused, or without it, as asked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from resnet_repro.cli import main
from resnet_repro.data.image_file import decoder
from resnet_repro.records.schema import Execution
from resnet_repro.runtime.distributed import SINGLE_PROCESS
from resnet_repro.sweep.launcher import Event, in_turn
from resnet_repro.train.job import Job
from tests.helpers.photographs import make_imagenette


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
    assert told["decoder"] == decoder()
    assert told["command"].endswith(" --protocol smoke --corrupt skip")


def execution(**more: Any) -> Execution:
    fields: dict[str, Any] = {f.name: "" for f in structs.fields(Execution)[:13]}
    return Execution(**(fields | more))


THERE = {"until": 5, "decoder": "pillow 1"}


@pytest.mark.parametrize(
    ("more", "former"),
    [
        ({"decoder": "pillow 1"}, None),
        ({"decoder": "pillow 1", "earlier": (THERE,)}, None),
        ({"decoder": "pillow 2", "earlier": ({**THERE, "decoder": "pillow 2"}, THERE)}, "pillow 1"),
        ({"decoder": "pillow 1", "earlier": ({"until": 5},)}, "a decoder that was not recorded"),
        ({"earlier": ({"until": 5},)}, None),  # arrays, which nothing decodes
    ],
)
def test_another_decoder_than_before(more: dict[str, Any], former: str | None) -> None:
    assert execution(**more).former_decoder == former


def test_a_run_that_goes_on_with_another_decoder_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    now = execution(decoder="pillow 2", earlier=(THERE,), resumed_at=(5,))

    def train(job: Any, data: Any, watch: Any, world: Any) -> Any:
        watch.begin(now)
        return SimpleNamespace(status="done")

    monkeypatch.setattr("resnet_repro.train.loop.train", train)
    job = cast(Job, SimpleNamespace(run="a/b", spec=SimpleNamespace(dataset="x")))
    said: list[Event] = []
    in_turn([job], {"x": cast(Any, None)}, said.append, (), SINGLE_PROCESS, lambda: False)
    assert [event.value for event in said if event.kind == "say"] == [
        "a/b: images are read by pillow 2, until iteration 5 it was pillow 1"
    ]
