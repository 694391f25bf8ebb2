"""A section of the page for every run: what was asked, how it was computed, what it measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from resnet_repro.markup import as_link
from resnet_repro.models.names import parse
from resnet_repro.records import store
from resnet_repro.records.evaluations import find_evaluations, read_evaluation
from resnet_repro.report.page.sections import run_anchor

TOLD = ("spec.json", "execution.json", "result.json")  # not in a result's list of files


@dataclass(frozen=True)
class Value:
    """A name, a value, empty for none, and the file it comes from; `anchor` is its own."""

    name: str
    value: str
    href: str
    anchor: str


@dataclass(frozen=True)
class RunSection:
    """One run's section."""

    anchor: str
    title: str
    arm: str
    dataset: str
    protocol: str
    seed: int
    diverged: bool
    test_error: str
    command: str
    result: tuple[Value, ...]
    spec: tuple[Value, ...]
    execution: tuple[Value, ...]
    evaluations: tuple[tuple[str, tuple[Value, ...]], ...]
    files: tuple[Value, ...]


def read_run(record: store.Record, page: Path) -> RunSection:
    """A record's section; page: where the page will lie, for links relative to it.

    Raises UserError for a damaged evaluation.
    """
    folder, place = record.folder.resolve(), page.parent.resolve()
    anchor = run_anchor(record.run)

    def values(told: dict[str, Any], name: str) -> tuple[Value, ...]:
        part = Path(name).stem
        return tuple(
            Value(key, _text(value), as_link(folder / name, place), f"{anchor}-{part}-{key}")
            for key, value in _flat(told)
        )

    result = asdict(record.result)
    digests = result.pop("files")
    spec = asdict(record.spec)
    recipe = spec.pop("recipe")
    execution = asdict(record.execution)
    command = execution.pop("command")
    evaluations = []
    for path in find_evaluations(record.folder):
        found = read_evaluation(path)
        told = {**found.values, **found.settings, **found.execution}
        evaluations.append((found.name, values(told, f"evaluations/{path.name}")))
    files = {name: store.file_digest(record.folder / name) for name in TOLD} | digests
    for path in find_evaluations(record.folder):
        files[f"evaluations/{path.name}"] = store.file_digest(path)
    error = record.result.test_error
    return RunSection(
        anchor=anchor,
        title=parse(record.spec.network).label,
        arm=record.run.arm,
        dataset=record.run.dataset,
        protocol=record.run.protocol,
        seed=record.run.seed,
        diverged=record.result.status != "done",
        test_error="" if error is None else f"{error:.2f}",
        command=command,
        result=values(result, "result.json"),
        spec=values(spec | recipe, "spec.json"),
        execution=values(execution, "execution.json"),
        evaluations=tuple(evaluations),
        files=tuple(
            Value(name, digest, as_link(folder / name, place), f"{anchor}-file-{name}")
            for name, digest in files.items()
        ),
    )


def _flat(told: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, those within an object under its name and theirs."""
    for key, value in told.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return "" if value is None else str(value)
