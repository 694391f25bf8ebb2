"""Runs on the digits that keep their weights, of a second each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from resnet_repro.paper import artifacts
from resnet_repro.runtime.device import choose
from resnet_repro.sweep import plan


def train_on_digits(folder: Path, arms: Sequence[str]) -> Path:
    """Train nets of 4 channels under `smoke`, seed 0; the folder that holds one for each arm.

    arms: such as plain8. A record lies in <arm>/smoke/seed0.
    """
    demo = artifacts.load("demo").artifact
    tiny = tuple(artifacts.Arm(name, f"{name}-w4", "digits") for name in arms)
    own = dataclasses.replace(demo, arms=tiny, claims=(), published=())
    request = plan.Request(own, protocol="smoke", results=folder / "results")
    settings = plan.Settings(
        device=choose("cpu", "fp32", threads=1),
        data_root=None,
        cache=folder / "cache",
        results=request.results,
    )
    ends = plan.execute(request, settings, lambda event: None)
    assert set(ends.values()) == {"done"}
    return request.results / "digits"
