"""Finished records as pandas tables: their columns, and how a part of them is taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from resnet_repro.paper.artifacts import Artifact
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.records.metrics import EVALUATED

LABELS = ("dataset", "arm", "protocol", "seed")
RESULTS = (  # as result.json has them; NaN for what was not measured
    "train_loss",
    "train_error",
    "test_loss",
    "test_error",
    "best_test_error",
    "best_test_iteration",
    "warmup_ended",
    "half_precision_test_error",
    "test_error_moving",
)
RUNS = (
    *LABELS,
    "network",
    "status",
    "iterations",  # run
    "schedule",  # iterations asked for
    "batch_size",
    "crop",  # pixels a side; NaN where images are not cropped from larger ones
    "parameters",
    *RESULTS,
    *EVALUATED,  # of evaluations; NaN without
    "layer_std",  # of the responses (Fig. 7), the mean over the 3x3 layers
    "bn",  # in words, BN's statistics at every test
    "gradient_norm",  # times the weights', of the first stage, the median over the rows
    "device",
    "device_name",
    "precision",
    "threads",
    "commit",
    "dirty",
    "skipped",  # images that could not be read and were left out, as asked
    "question",  # digest of the spec without its seed: equal for runs that differ by chance only
    "spec_hash",
    "folder",
)
COUNTS = ("network", "input", "parameters", "multiply_adds")
EVALUATIONS = (*LABELS, "evaluation", "settings", "made")


@dataclass(frozen=True)
class Frames:
    """Every finished run (`runs`, a row each) and its measurements (long), and what has no run.

    `counts` has a row for every network that was counted, `ensembles` one for every ensemble,
    `evaluations` one for everything a run was evaluated for later, with its settings in words and,
    as `made`, the Evaluation itself.
    Errors in %, losses in nats, norms and standard deviations without unit, timing in seconds and
    images per second; numbers that were not measured are NaN.
    """

    runs: pd.DataFrame
    metrics: pd.DataFrame
    timing: pd.DataFrame
    gradients: pd.DataFrame
    layers: pd.DataFrame
    counts: pd.DataFrame
    evaluations: pd.DataFrame
    ensembles: pd.DataFrame

    def select(self, arms: set[tuple[str, str]], protocol: str | None = None) -> Frames:
        """The part of the (dataset, arm) pairs, and of one protocol unless None.

        Counts and ensembles belong to no run, and stay.
        """
        apart = ("counts", "ensembles")
        of_runs = [f.name for f in dataclasses.fields(self) if f.name not in apart]
        parts = {name: _part(getattr(self, name), arms, protocol) for name in of_runs}
        return dataclasses.replace(self, **parts)

    def select_runs(self, arms: set[tuple[str, str]]) -> pd.DataFrame:
        """The rows of `runs` of the (dataset, arm) pairs."""
        return _part(self.runs, arms, None)

    def count_of(self, network: str) -> dict[str, Any] | None:
        """A network's row of `counts`."""
        found = self.counts[self.counts["network"] == network].to_dict("records")
        return {str(name): value for name, value in found[0].items()} if found else None

    def ensembles_of(self, artifact: Artifact) -> list[dict[str, Any]]:
        """The rows of `ensembles` on the data sets of an artifact's arms."""
        datasets = {arm.dataset for arm in artifact.arms}
        rows = self.ensembles[self.ensembles["dataset"].isin(datasets)].to_dict("records")
        return [{str(name): value for name, value in row.items()} for row in rows]

    @cached_property
    def _by_arm(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.runs.sort_values(list(LABELS)).to_dict("records"):
            rows.setdefault((row["dataset"], row["arm"]), []).append(
                {str(name): value for name, value in row.items()}
            )
        return rows

    def arms(self, dataset: str) -> list[str]:
        """The arms of a data set that have runs, sorted."""
        return [arm for (of, arm) in self._by_arm if of == dataset]

    def runs_of(self, dataset: str, arm: str, protocol: str | None = None) -> list[dict[str, Any]]:
        """An arm's rows of `runs`, under one protocol unless None, by protocol and seed."""
        rows = self._by_arm.get((dataset, arm), [])
        return [row for row in rows if protocol in (None, row["protocol"])]

    def protocols_of(self, dataset: str, arm: str) -> list[str]:
        """The protocols an arm was run under, the paper's first."""
        return sort_protocols(row["protocol"] for row in self.runs_of(dataset, arm))


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
