"""What was measured of a finished run later: 10-crop and dense errors, ensembles, lesions ...

A record's evaluations are files `evaluations/<name>.json` in its folder. They come after
`result.json`, which therefore does not list them; each carries the hash of the spec it was made
from instead. An ensemble has several runs and lies beside the arms, in
`<results>/<dataset>/ensembles/<name>.json`, where no run can: runs lie three folders deep.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from resnet_repro.errors import UserError
from resnet_repro.records.files import convert, read_json, write_json
from resnet_repro.records.probes import ANY, PROBES
from resnet_repro.records.schema import SCHEMA, check_label

FOLDER = "evaluations"
ENSEMBLES = "ensembles"

CENTER, TEN_CROP, DENSE = "center", "ten_crop", "dense"  # the ways an ImageNet network is tested


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation; errors in %.

    `values` holds finite numbers or lists of them, `settings` what decides them beside the
    weights (crops, sizes, images), `execution` what should not (device, precision, versions).
    """

    name: str
    spec_hash: str  # of the run that was evaluated; empty for an ensemble
    settings: dict[str, Any]
    values: dict[str, Any]
    execution: dict[str, Any]

    @property
    def digest(self) -> str:
        """Of everything in it, as JSON would hold it."""
        text = json.dumps(asdict(self), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def listed(self, name: str) -> list[Any]:
        """The value or, where there is none, the setting of that name, which is a list."""
        found = self.values.get(name, self.settings.get(name))
        assert isinstance(found, list)  # read_evaluation checked it
        return found

    def number(self, name: str) -> float:
        """The value of that name as a number; NaN when it is absent or a list."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else float("nan")

    @property
    def members(self) -> list[str]:
        """Whom an ensemble consists of, as its settings name them: runs as arm/protocol/seedK."""
        told = self.settings.get("members")
        found = told if isinstance(told, list) else []
        return [str(m.get("run", m.get("network")) if isinstance(m, dict) else m) for m in found]


def evaluation_path(record: Path, name: str) -> Path:
    """Where the evaluation of that name lies in a record's folder."""
    return record / FOLDER / f"{check_label(name)}.json"


def ensemble_path(results: Path, dataset: str, name: str) -> Path:
    """Where the evaluation of an ensemble of that name lies in a results folder."""
    return results / check_label(dataset) / ENSEMBLES / f"{check_label(name)}.json"


def write_evaluation(record: Path, evaluation: Evaluation) -> Path:
    """Write an evaluation into a record's folder, over one of the same name; its path.

    Raises UserError for a name that cannot name a file, and for values that are no finite
    numbers or that JSON cannot hold.
    """
    return _write(evaluation_path(record, evaluation.name), evaluation)


def write_ensemble(results: Path, dataset: str, evaluation: Evaluation) -> Path:
    """Write an ensemble's evaluation into a results folder; raises as `write_evaluation`."""
    return _write(ensemble_path(results, dataset, evaluation.name), evaluation)


def read_evaluation(path: Path) -> Evaluation:
    """One evaluation.

    Raises UserError when the file is unreadable, not in the schema, or not as it was written.
    """
    value = read_json(path)
    digest = value.pop("sha256", None)
    if value.pop("schema", None) != SCHEMA:
        raise UserError(f"{path}: another schema than {SCHEMA}")
    found = convert(value, Evaluation, path)
    name, values, settings = found.name, found.values, found.settings
    if name != path.stem:
        raise UserError(f"{path} holds the evaluation '{name}': name the file after it")
    _check_values(values, path)
    for key, sizes in PROBES[name].lists.items() if name in PROBES else ():
        if not _has_shape(values.get(key), [size and settings.get(size) for size in sizes]):
            raise UserError(f"{path}: {key} is no list of the right length: make the study again")
    if digest != found.digest:
        raise UserError(f"{path}: changed since it was written: restore it or make it again")
    return found


def find_evaluations(record: Path) -> list[Path]:
    """Every evaluation in a record's folder, sorted by name."""
    return sorted((record / FOLDER).glob("*.json"))


def find_ensembles(results: Path) -> list[Path]:
    """Every ensemble's evaluation in a results folder, sorted by data set and name."""
    return sorted(results.glob(f"*/{ENSEMBLES}/*.json"))


def read_evaluations(record: Path) -> list[Evaluation]:
    """Every evaluation in a record's folder, by name; raises as `read_evaluation`."""
    return [read_evaluation(path) for path in find_evaluations(record)]


def read_ensembles(results: Path) -> list[tuple[str, Path, Evaluation]]:
    """Every ensemble in a results folder: data set, file, evaluation; by data set and name.

    Raises UserError as `read_evaluation`.
    """
    return [(p.parts[-3], p, read_evaluation(p)) for p in find_ensembles(results)]


def _write(path: Path, evaluation: Evaluation) -> Path:
    _check_values(evaluation.values, path)
    try:
        digest = evaluation.digest
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: JSON cannot hold its settings or execution: {error}") from error
    write_json(path, {"schema": SCHEMA, "sha256": digest, **asdict(evaluation)})
    return path


def _check_values(values: Mapping[str, object], path: Path) -> None:
    for name, value in values.items():
        if any(not _is_finite(number) for number in _flat(value)):
            raise UserError(f"{path}: {name} is not a finite number or a list of them")
        if name.endswith(("_error", "_errors")) and not all(0 <= x <= 100 for x in _flat(value)):
            raise UserError(f"{path}: {name} is not within 0 and 100 %")


def _has_shape(value: object, sizes: Sequence[object]) -> bool:
    """Whether a value is lists within lists, as long as the sizes are, with numbers within."""
    if not sizes:
        return not isinstance(value, list)
    first, *rest = sizes
    if not isinstance(value, list) or not (first == ANY or isinstance(first, list)):
        return False
    fits = not isinstance(first, list) or len(first) == len(value)
    return fits and all(_has_shape(item, rest) for item in value)


def _flat(value: object) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value


def _is_finite(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**63  # what `files.parse_json` reads back
    return isinstance(value, float) and math.isfinite(value)
