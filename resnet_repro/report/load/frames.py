"""Finished records as the report reads them: typed rows, and long tables of what was measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.records.counts import Count
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.records.metrics import EVALUATED
from resnet_repro.records.schema import RunId

LABELS = ("dataset", "arm", "protocol", "seed")  # of a run, the first columns of a long table


@dataclass(frozen=True)
class Run:
    """A finished run.

    `values` has its metrics by name, and all that result.json measured; NaN for what was not
    measured. `layer_std` among them is the mean over the 3x3 layers, `gradient_norm` the first
    stage's, times its weights', the median over the rows. `evaluations`: what it was evaluated
    for later, by name.
    """

    id: RunId
    network: str
    status: str
    schedule: int  # iterations asked for
    batch_size: int
    crop: int | None  # pixels a side; None where images are not cropped from larger ones
    parameters: int
    values: Mapping[str, float]
    evaluations: Mapping[str, Evaluation]
    bn: str  # in words, BN's statistics at every test
    device_name: str
    precision: str
    threads: int
    dirty: bool
    commits: tuple[str, ...]  # of the code, a sitting each
    skipped: int  # images that could not be read and were left out, as asked
    question: str  # digest of the spec without its seed: equal for runs that differ by chance only
    folder: Path

    @property
    def dataset(self) -> str:
        return self.id.dataset

    @property
    def arm(self) -> str:
        return self.id.arm

    @property
    def protocol(self) -> str:
        return self.id.protocol

    @property
    def seed(self) -> int:
        return self.id.seed

    @property
    def labels(self) -> tuple[str, str, str, int]:
        """As the long tables have them."""
        return self.dataset, self.arm, self.protocol, self.seed

    def unevaluated(self, metric: str) -> bool:
        """Whether it lacks that metric because nobody measured it.

        That is of evaluations still to come, and of the weights' norms, which recipe version 1
        did not record. One that diverged has nothing to evaluate, and lacks it for that.
        """
        later = metric in EVALUATED or metric == "gradient_norm"
        return later and self.status == "done" and math.isnan(self.values[metric])


@dataclass(frozen=True)
class Ensemble:
    """An ensemble that was evaluated, and the file that says so."""

    dataset: str
    made: Evaluation
    file: Path

    @property
    def name(self) -> str:
        return self.made.name

    @property
    def protocol(self) -> str:
        """Of its members that are runs, named arm/protocol/seedK."""
        parts = [member.split("/") for member in self.made.members]
        runs = [p for p in parts if len(p) >= 3 and p[-1].startswith("seed")]
        return "+".join(sorted({p[-2] for p in runs}))


@dataclass(frozen=True)
class Frames:
    """Every finished run and its measurements (long tables), and what has no run.

    `counts` has every network that was counted, `ensembles` every ensemble.
    Errors in %, losses in nats, norms and standard deviations without unit, timing in seconds and
    images per second; numbers that were not measured are NaN.
    """

    runs: tuple[Run, ...]
    metrics: pd.DataFrame
    timing: pd.DataFrame
    gradients: pd.DataFrame
    layers: pd.DataFrame
    counts: tuple[Count, ...]
    ensembles: tuple[Ensemble, ...]

    def select(self, arms: set[tuple[str, str]], protocol: str | None = None) -> Frames:
        """The part of the (dataset, arm) pairs, and of one protocol unless None.

        Counts and ensembles belong to no run, and stay.
        """
        runs = [run for run in self.select_runs(arms) if protocol in (None, run.protocol)]
        part = partial(_part, arms=arms, protocol=protocol)
        return dataclasses.replace(
            self,
            runs=tuple(runs),
            metrics=part(self.metrics),
            timing=part(self.timing),
            gradients=part(self.gradients),
            layers=part(self.layers),
        )

    def select_runs(self, arms: set[tuple[str, str]]) -> list[Run]:
        """The runs of the (dataset, arm) pairs."""
        return [run for run in self.runs if (run.dataset, run.arm) in arms]

    def count_of(self, network: str) -> Count | None:
        """A network's counts."""
        return next((count for count in self.counts if count.name == network), None)

    def ensembles_of(self, artifact: Artifact) -> list[Ensemble]:
        """The ensembles on the data sets of an artifact's arms."""
        datasets = {arm.dataset for arm in artifact.arms}
        return [ensemble for ensemble in self.ensembles if ensemble.dataset in datasets]

    @cached_property
    def _by_arm(self) -> dict[tuple[str, str], list[Run]]:
        found: dict[tuple[str, str], list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.labels):
            found.setdefault((run.dataset, run.arm), []).append(run)
        return found

    def arms(self, dataset: str) -> list[str]:
        """The arms of a data set that have runs, sorted."""
        return [arm for (of, arm) in self._by_arm if of == dataset]

    def runs_of(self, dataset: str, arm: str, protocol: str | None = None) -> list[Run]:
        """An arm's runs, under one protocol unless None, by protocol and seed."""
        runs = self._by_arm.get((dataset, arm), [])
        return [run for run in runs if protocol in (None, run.protocol)]

    def protocols_of(self, dataset: str, arm: str) -> list[str]:
        """The protocols an arm was run under, the paper's first."""
        return sort_protocols(run.protocol for run in self.runs_of(dataset, arm))


def _part(frame: pd.DataFrame, arms: set[tuple[str, str]], protocol: str | None) -> pd.DataFrame:
    """The rows of the (dataset, arm) pairs, and of one protocol unless None."""
    keep = pd.Series(False, index=frame.index)
    for dataset in sorted({of for of, _ in arms}):
        here = [arm for of, arm in sorted(arms) if of == dataset]
        keep |= (frame["dataset"] == dataset) & frame["arm"].isin(here)
    if protocol is not None:
        keep &= frame["protocol"] == protocol
    return frame[keep].reset_index(drop=True)


def sort_protocols(names: Iterable[str]) -> list[str]:
    """Each protocol once, the paper's first."""
    return sorted(set(names), key=lambda name: (name != PAPER_PROTOCOL, name))
