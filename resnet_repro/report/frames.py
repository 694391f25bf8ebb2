"""Finished records as pandas tables, and the part of them that one figure shows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from resnet_repro.artifacts import Artifact
from resnet_repro.errors import UserError
from resnet_repro.records import schema, store
from resnet_repro.records.counts import read_counts
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.records.metrics import EVALUATED
from resnet_repro.report.evaluated import (
    ensembles_frame,
    errors_of,
    record_evaluations,
    settings_words,
    studies_wanted,
)

LABELS = ("dataset", "arm", "protocol", "seed")
RUNS = (
    *LABELS,
    "network",
    "status",
    "iterations",  # run
    "schedule",  # iterations asked for
    "batch_size",
    "crop",  # pixels a side; NaN where images are not cropped from larger ones
    "parameters",
    "train_loss",
    "train_error",
    "test_loss",
    "test_error",
    "best_test_error",
    "best_test_iteration",
    "warmup_ended",
    "half_precision_test_error",
    *EVALUATED,  # of evaluations; NaN without
    "layer_std",  # of the responses (Fig. 7), the mean over the 3x3 layers
    "gradient_norm",  # of the first stage, the median over the rows
    "device",
    "device_name",
    "precision",
    "commit",
    "dirty",
    "skipped",  # images that could not be read and were left out, as asked
    "question",  # digest of the spec without its seed: equal for runs that differ by chance only
    "spec_hash",
    "folder",
)
COUNTS = ("network", "input", "parameters", "multiply_adds")
EVALUATIONS = (*LABELS, "evaluation", "settings", "made")
_NUMBERS = (
    "train_loss",
    "train_error",
    "test_loss",
    "test_error",
    "best_test_error",
    "best_test_iteration",
    "warmup_ended",
    "half_precision_test_error",
)


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


@dataclass(frozen=True)
class View:
    """What a figure shows: an artifact's arms, as recorded under one protocol."""

    artifact: Artifact
    frames: Frames
    protocol: str

    @property
    def empty(self) -> bool:
        """Whether nothing of the artifact is recorded."""
        frames = self.frames
        return frames.runs.empty and frames.counts.empty and frames.ensembles.empty


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
    return sorted(set(names), key=lambda name: (name != "paper", name))


def read_frames(results_dirs: Sequence[Path]) -> Frames:
    """Every finished run below the folders.

    A run that lies in several of them counts once; the first folder's is taken. Raises
    UserError for a damaged record, and for two records of one name but of different specs.
    """
    seen: dict[schema.RunId, store.Record] = {}
    for results in results_dirs:
        for record in store.read_records(results):
            first = seen.setdefault(record.run, record)
            if first.spec != record.spec:
                raise UserError(
                    f"{first.folder} and {record.folder} are of different specs: "
                    "report them separately"
                )
    records = list(seen.values())
    layers = _long(records, "layers.csv", schema.LAYERS)
    # A CIFAR network lacks layer4.
    gradients = _long(records, "gradients.csv", schema.GRADIENTS_IMAGENET, *schema.GRADIENT_FORMS)
    evaluations = [record_evaluations(record) for record in records]
    runs = pd.DataFrame(
        [_run(r, e) for r, e in zip(records, evaluations, strict=True)], columns=list(RUNS)
    )
    if records:
        labels = list(zip(*(runs[x] for x in LABELS), strict=True))
        means = layers.groupby(list(LABELS))["std"].mean()
        runs["layer_std"] = means.reindex(labels).array
        norms = gradients.groupby(list(LABELS))[schema.GRADIENTS[1]].median()
        runs["gradient_norm"] = norms.reindex(labels).array
    return Frames(
        runs,
        _long(records, "metrics.csv", schema.METRICS),
        _long(records, "timing.csv", schema.TIMING),
        gradients,
        layers,
        _counts(results_dirs),
        pd.DataFrame(
            [
                {**_labels(record), "evaluation": e.name, "settings": settings_words(e), "made": e}
                for record, found in zip(records, evaluations, strict=True)
                for e in found
            ],
            columns=list(EVALUATIONS),
        ),
        ensembles_frame(results_dirs),
    )


def make_view(artifact: Artifact, frames: Frames) -> View:
    """The artifact's arms under the protocol its figure shows.

    That is `paper` where any arm has it, else `short`, else the artifact's own default, else
    the first there is; the default again when nothing is recorded. Counts are those of its
    networks where the artifact is counted, ensembles those of its data sets where it is of
    ensembles, else none. An artifact of studies shows the runs that have them, and no other.
    """
    arms = arms_shown(artifact)
    frames = _studied(frames, studies_wanted(artifact))
    found = sorted(set(frames.select_runs(arms)["protocol"]))
    order = ["paper", "short", artifact.protocol, *found]
    protocol = next((p for p in order if p in found), artifact.protocol)
    networks = {arm.network for arm in artifact.arms} if artifact.counted else set()
    counts = frames.counts[frames.counts["network"].isin(networks)].reset_index(drop=True)
    datasets = {arm.dataset for arm in artifact.arms} if artifact.ensemble else set()
    ensembles = frames.ensembles[frames.ensembles["dataset"].isin(datasets)].reset_index(drop=True)
    shown = dataclasses.replace(frames.select(arms, protocol), counts=counts, ensembles=ensembles)
    return View(artifact, shown, protocol)


def _studied(frames: Frames, studies: Sequence[str]) -> Frames:
    """The frames with only those runs in `runs` and `evaluations` that have all these studies."""
    if not studies:
        return frames
    made = frames.evaluations
    having = [
        set(zip(*(made[made["evaluation"] == name][c] for c in LABELS), strict=True))
        for name in studies
    ]
    both = set.intersection(*having)

    def part(frame: pd.DataFrame) -> pd.DataFrame:
        labels = zip(*(frame[c] for c in LABELS), strict=True)
        keep = pd.Series([run in both for run in labels], index=frame.index, dtype=bool)
        return frame[keep].reset_index(drop=True)

    return dataclasses.replace(frames, runs=part(frames.runs), evaluations=part(made))


def arms_shown(artifact: Artifact) -> set[tuple[str, str]]:
    """The (dataset, arm) pairs whose runs an artifact shows; none of one that shows no runs."""
    if artifact.counted or artifact.ensemble:
        return set()
    return {(arm.dataset, arm.name) for arm in artifact.arms}


def _counts(results_dirs: Sequence[Path]) -> pd.DataFrame:
    rows = [
        (c.network, " x ".join(str(n) for n in c.image), c.parameters, c.multiply_adds)
        for c in read_counts(results_dirs)
    ]
    return pd.DataFrame(rows, columns=list(COUNTS))


def _labels(record: store.Record) -> dict[str, object]:
    run = record.run
    return {"dataset": run.dataset, "arm": run.arm, "protocol": run.protocol, "seed": run.seed}


def _run(record: store.Record, evaluations: Sequence[Evaluation]) -> dict[str, object]:
    result, execution, spec = record.result, record.execution, record.spec
    where = record.folder / "result.json"
    if result.status not in ("done", "diverged"):
        raise UserError(f"{where}: status {result.status!r} is neither done nor diverged")
    question = json.dumps(dataclasses.asdict(dataclasses.replace(spec, seed=0)), sort_keys=True)
    return {
        **_labels(record),
        "network": spec.network,
        "status": result.status,
        "iterations": result.iterations,
        "schedule": _whole(
            spec.recipe.get("iterations"), record.folder / "spec.json", "iterations"
        ),
        **{name: _or_nan(_positive(spec.recipe.get(name))) for name in ("batch_size", "crop")},
        "parameters": result.parameters,
        **{name: _or_nan(getattr(result, name)) for name in _NUMBERS},
        **errors_of(evaluations),
        "device": execution.device,
        "device_name": execution.device_name,
        "precision": "+".join(execution.precisions),
        "commit": execution.commit,
        "dirty": execution.any_dirty,
        "skipped": len(execution.skipped_images),
        "question": hashlib.sha256(question.encode()).hexdigest(),
        "spec_hash": spec.hash,
        "folder": str(record.folder),
    }


def _whole(value: object, where: Path, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{where}: {name} is {value!r}, not a whole number")
    return value


def _positive(value: object) -> float | None:
    return value if isinstance(value, int | float) and value > 0 else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _long(
    records: Sequence[store.Record],
    name: str,
    columns: Sequence[str],
    *forms: Sequence[str],
) -> pd.DataFrame:
    """A table of every record; forms: the columns it may have, where these are not they all."""
    rows: list[dict[str, object]] = []
    for record in records:
        path = record.folder / name
        labels = _labels(record)
        for row in store.read_table(path, *(forms or (columns,))):
            rows.append({**labels, **{c: _cell(row[c], c, path) for c in row}})
    return pd.DataFrame(rows, columns=[*LABELS, *columns])


def _cell(text: str, column: str, path: Path) -> object:
    if column == "name":
        return text
    try:
        value = float(text)  # `nan` and `inf` are what a diverged run measured
        return int(text) if column in ("iteration", "layer") else value
    except ValueError:
        raise UserError(
            f"{path}: {column} is {text!r}, not a number: restore or rerun it"
        ) from None
