"""A run on photographs one of which is damaged: refused, or without it, as asked."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import structs

from resnet_repro.cli import main
from resnet_repro.data.image_file import decoder
from resnet_repro.data.imagefolder.listing import load
from resnet_repro.data.imagefolder.loader import ImageFolderLoader
from resnet_repro.records.schema import Execution
from resnet_repro.runtime.distributed import SINGLE_PROCESS
from resnet_repro.sweep.launcher import Event, in_turn
from resnet_repro.train.job import Job
from tests.conftest import silent
from tests.helpers.photographs import FORMS, make_imagenette


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


@pytest.mark.slow
def test_a_run_goes_on_in_another_form_bit_for_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun on class folders, stopped in each form and gone on with in the next one."""
    folders = make_imagenette(tmp_path / "class folders")
    roots = [folders, *(make(folders, tmp_path / form) for form, make in FORMS.items())]

    def run(root: Path, where: Path) -> int:
        return main(
            [
                *("run", "imagenette", "--arms", "resnet18-A", "--protocol", "smoke"),
                *("--workers", "0", "--device", "cpu", "--kernels", "off"),
                *("--data-root", str(root), "--results-dir", str(where / "results")),
                *("--cache-dir", str(where / "cache")),
            ]
        )

    assert run(folders, tmp_path / "undisturbed") == 0
    prepare = ImageFolderLoader.prepare
    steps = []

    def stopping(self: ImageFolderLoader, iteration: int) -> None:
        prepare(self, iteration)
        if iteration not in steps:
            steps.append(iteration)
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(ImageFolderLoader, "prepare", stopping)
        for root in roots[:-1]:
            assert run(root, tmp_path / "resumed") == 130
    assert len(steps) == len(roots) - 1
    capsys.readouterr()
    assert run(roots[-1], tmp_path / "resumed") == 0
    assert "resumed at iteration" in capsys.readouterr().out
    records = [
        next((tmp_path / name / "results").glob("imagenette/*/*/seed0"))
        for name in ("undisturbed", "resumed")
    ]
    for name in ("metrics.csv", "gradients.csv"):
        first, other = ((folder / name).read_bytes() for folder in records)
        assert first == other, name
    weights = [sorted(folder.glob("*.safetensors")) for folder in records]
    assert [path.name for path in weights[0]] == [path.name for path in weights[1]]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*weights, strict=True))


def test_data_names_the_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = make_imagenette(tmp_path / "folders")
    forms = {"class folders": lambda root, _: root, **FORMS}
    digests = set()
    for form, make in forms.items():
        root = make(folders, tmp_path / form)
        words = ["data", "imagenette", "--data-root", str(root)]
        assert main([*words, "--cache-dir", str(tmp_path / "cache")]) == 0
        out = capsys.readouterr().out
        assert form in " ".join(out.split())
        digests.add(load("imagenette", root, say=silent).digest)
    assert len(digests) == 1
