"""What is to be trained, and what a run has come to so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from resnet_repro.records import schema, store
from resnet_repro.records.state import checkpoint_folders
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
    shared: bool = False  # checkpoints lie beside the record, for other machines to go on from

    @property
    def folder(self) -> Path:
        """The record's folder."""
        return self.run.folder(self.results)

    @property
    def checkpoints(self) -> Path:
        """The folder that this run's checkpoints are written to."""
        return self.checkpoint_folders[0 if self.shared else 1]

    @property
    def checkpoint_folders(self) -> tuple[Path, ...]:
        """Both that they may lie in: beside the record, and in the cache outside the tree."""
        return checkpoint_folders(self.folder, self.cache, self.spec)


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
