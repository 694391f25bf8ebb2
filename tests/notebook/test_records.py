"""Which recorded runs a notebook shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from resnet_repro.errors import UserError
from resnet_repro.notebook import recorded
from resnet_repro.paths import RECORDED
from resnet_repro.records.files import read_json, write_json


def test_the_runs_under_paper_are_taken_where_all_nets_have_one(tmp_path: Path) -> None:
    for name in ("plain20", "resnet20"):
        source = RECORDED / "cifar10" / name / "short" / "seed0"
        for protocol in ("paper", "short"):
            folder = tmp_path / "cifar10" / name / protocol / "seed0"
            shutil.copytree(source, folder)
            file = read_json(folder / "spec.json")
            write_json(folder / "spec.json", {**file, "protocol": protocol})
    assert {run.protocol for run in recorded("plain20", "resnet20", results=tmp_path).values()} == {
        "paper"
    }
    shutil.rmtree(tmp_path / "cifar10" / "plain20" / "paper")
    assert {run.protocol for run in recorded("plain20", "resnet20", results=tmp_path).values()} == {
        "short"
    }
    (tmp_path / "cifar10" / "resnet20" / "paper" / "seed0" / "result.json").unlink()
    assert recorded("plain20", results=tmp_path)["plain20"].protocol == "short"
    with pytest.raises(UserError, match="plain56"):
        recorded("plain56", results=tmp_path)


def test_an_effective_rate_is_the_rate_over_the_squared_norm(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10" / "plain20" / "short" / "seed0"
    shutil.copytree(RECORDED / "cifar10" / "plain20" / "short" / "seed0", folder)
    assert recorded("plain20", results=tmp_path)["plain20"].effective_rate("layer1") == {}
    stages = ("conv1", "layer1", "layer2", "layer3", "fc")
    head = ["iteration", *stages, *(f"{stage}_weights" for stage in stages)]
    (folder / "gradients.csv").write_text(
        ",".join(head) + "\n250," + ",".join(["1"] * 5 + ["2", "4", "1", "1", "1"]) + "\n"
    )
    run = recorded("plain20", results=tmp_path)["plain20"]
    assert run.effective_rate("layer1") == {250: run.rate[250] / 16}
