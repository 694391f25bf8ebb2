"""What is to be trained, and what a run has come to so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from resnet_repro.records import schema, store
from resnet_repro.runtime.device import Device
from resnet_repro.train.recipe import Recipe


@dataclass(frozen=True)
class Job:
    """One run to be trained, and where things go."""

    run: schema.RunId
    spec: schema.Spec
    recipe: Recipe
    results: Path
    cache: Path
    device: Device
    command: str
    checkpoint_seconds: float = 30.0

    @property
    def folder(self) -> Path:
        """The record's folder."""
        return self.run.folder(self.results)

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints, outside the tree."""
        return checkpoints_of(self.spec, self.cache)


def checkpoints_of(spec: schema.Spec, cache: Path) -> Path:
    """The folder of a run's checkpoints in a cache."""
    return cache / "runs" / spec.hash[:32]


@dataclass
class Progress:
    """The record so far; everything in it travels in the checkpoint."""

    iteration: int = 0
    seconds: float = 0.0  # spent on training steps in the current interval
    started: str = ""
    resumed_at: list[int] = field(default_factory=list)
    earlier: list[dict[str, object]] = field(default_factory=list)  # how earlier sittings ran
    metrics: list[store.Row] = field(default_factory=list)
    timing: list[store.Row] = field(default_factory=list)
    gradients: list[store.Row] = field(default_factory=list)
