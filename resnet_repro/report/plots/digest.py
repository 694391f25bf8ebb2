"""The digest of what a figure shows, by which a stale one is found without comparing pixels."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from resnet_repro.records.metrics import ERRORS
from resnet_repro.report.captions import input_words
from resnet_repro.report.load.evaluations import settings_words, studies_wanted
from resnet_repro.report.load.frames import LABELS
from resnet_repro.report.load.view import View


def plotted_digest(view: View) -> str:
    """SHA-256 over the records that a figure of this view shows, timing apart.

    It depends on numbers and labels only: not on where the records lie, on the order in which
    they are read, or on pandas.
    """
    digest = hashlib.sha256(f"{view.artifact.name} {view.protocol}\n".encode())
    suite = view.suite and _plotted(replace(view, frames=view.suite, suite=None))
    for names, columns in (*_plotted(view), *(suite or ())):
        digest.update(f"{' '.join(names)}\n".encode())
        cells = [_canonical_column(column) for column in columns]
        lines = [" ".join(row) for row in zip(*cells, strict=True)]
        digest.update("\n".join([*sorted(lines), ""]).encode())
    return digest.hexdigest()


def _plotted(view: View) -> Iterator[tuple[Sequence[str], Iterable[Sequence[object]]]]:
    """Names and columns of what a figure of this view may show.

    Where and when it was computed changes no picture; what an artifact has nothing of leaves its
    digest as it was.
    """
    frames = view.frames
    runs = frames.runs
    facts = ("network", "status", "schedule", "parameters")
    values = ["train_error", "test_error", "best_test_error"]
    machine = ("device_name", "precision")
    evaluated = [c for c in ERRORS if any(not math.isnan(run.values[c]) for run in runs)]
    yield (
        (*LABELS, *facts, *values, *machine, *evaluated),
        _columns(
            (
                *run.labels,
                *(getattr(run, name) for name in facts),
                *(run.values[name] for name in values),
                *(getattr(run, name) for name in machine),
                *(run.values[name] for name in evaluated),
            )
            for run in runs
        ),
    )
    no_layer4 = frames.gradients["layer4"].isna().all()  # as in CIFAR networks
    gradients = frames.gradients.drop(columns="layer4") if no_layer4 else frames.gradients
    for frame in (frames.metrics, gradients, frames.layers):
        yield list(frame.columns), [frame[c].tolist() for c in frame.columns]
    if frames.counts:
        yield (
            ("network", "input", "parameters", "multiply_adds"),
            _columns(
                (c.name, input_words(c), c.parameters, c.multiply_adds) for c in frames.counts
            ),
        )
    if frames.ensembles:
        errors = ("top1_error", "top5_error")
        yield (
            ("dataset", "name", "members", "settings", *errors),
            _columns(
                (
                    *(e.dataset, e.name, ", ".join(e.made.members), settings_words(e.made)),
                    *(e.made.number(error) for error in errors),
                )
                for e in frames.ensembles
            ),
        )
    if studies := studies_wanted(view.artifact):
        made = [(run, run.evaluations[s]) for run in runs for s in studies if s in run.evaluations]
        yield (
            (*LABELS, "study"),
            _columns(
                (*run.labels, json.dumps([e.name, e.settings, e.values], sort_keys=True))
                for run, e in made
            ),
        )


def _columns(rows: Iterable[tuple[object, ...]]) -> list[Sequence[object]]:
    """What stands in rows, by column; no columns where there are no rows."""
    return list(zip(*rows, strict=True))


def _canonical_column(values: Sequence[object]) -> list[str]:
    """`_canonical` of each, most of which are labels that come again and again, or floats."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return ["-" if text == "nan" else text for text in map(repr, values)]
    if kinds == {str}:
        known = {value: repr(value) for value in set(values)}
        return [known[value] for value in values]
    return [_canonical(value) for value in values]


def _canonical(value: object) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, (int, float)) and not math.isnan(value):
        return repr(float(value))
    return "-"
