"""The tables of whole training steps: README's row a machine, and all that was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.contest import OURS, PEER, USUAL, Row
from benchmarks.machine import Result
from resnet_repro.markup import Grid, markdown_grid
from resnet_repro.models.names import parse

NETWORKS = ("resnet20", "resnet56", "resnet110")
EXPECTED = {"cpu": "a CPU", "cuda": "a GPU"}  # a table without one of them says so
SHORT = ("machine", "instruction sets", "precision", "threads", "torch")
FULL = ("network", "loop", "images a second", "ours over it", "peak memory", "set-up")


def row(found: dict[str, Any]) -> Row:
    """A row as it was written. Raises TypeError or KeyError for another's."""
    return Row(**found | {"rates": tuple(found["rates"])})


def ratios(above: Row | None, below: Row | None) -> list[float]:
    """Images per second of one contestant over another's, repeat by repeat."""
    both = (r.rates if r else () for r in (above, below))
    return [a / b for a, b in zip(*both, strict=False)]


def short(results: Sequence[Result]) -> str:
    """README's: a row a machine, images a second of ours and how many times the usual loop's."""
    columns = (*SHORT, *(parse(n).label for n in NETWORKS), "measured with")
    rows = []
    for result in results:
        machine, facts = result.machine, result.facts
        measured = {(r.network, r.contestant): r for r in map(row, result.rows)}
        rows.append(
            (
                machine.name,
                ", ".join(machine.instruction_sets),
                machine.precision,
                str(machine.threads),
                machine.torch,
                *(_both(measured.get((n, OURS)), measured.get((n, USUAL))) for n in NETWORKS),
                f"{facts['images']}, recipe version {facts['recipe_version']} (normalisation over "
                f"{facts['bn_batch']} images), {facts['started'][:10]}",
            )
        )
    return f"{markdown_grid(Grid(columns, tuple(rows)))}\n{_missing(results)}".strip() + "\n"


def full(results: Sequence[Result]) -> str:
    """Every machine's table under its name, with what was measured how."""
    parts = ["# Whole training steps on CIFAR-10\n", f"{NOTES}\n"]
    for result in results:
        parts += [f"## {result.machine.words}\n", f"{_facts(result)}\n"]
        parts.append(markdown_grid(Grid(FULL, tuple(cells(result)))))
    return "\n".join([*parts, _missing(results)]).strip() + "\n"


NOTES = (
    f"By `python -m benchmarks.cifar`. `{OURS}`: this suite's trainer, data pipeline included. "
    f"`{USUAL}`: eager fp32, NCHW, torchvision's transforms on PIL images in a DataLoader, "
    f"`.item()` at every step. `{PEER}`: another copy's network in the usual loop. Batches of "
    "128; median over the repeats, least and most in brackets; contestants take turns within a "
    "repeat, and ratios are taken within it. Steps alone, after the warm-up: no evaluation, no "
    "checkpoints. Set-up: from construction to the first finished step, less a step, with nothing "
    "compiled before. Peak memory: on a GPU what was allocated there at most, on a CPU growth of "
    "the process's peak resident memory, the data set and DataLoader workers not counted."
)


def cells(result: Result) -> list[tuple[str, ...]]:
    """The full table's rows of one machine."""
    rows = [row(found) for found in result.rows]
    ours = {r.network: r for r in rows if r.contestant == OURS}
    return [
        (
            parse(r.network).label,
            r.contestant,
            r.note or _spread(r.rates, significant),
            ""
            if r.contestant == OURS
            else _spread(ratios(ours.get(r.network), r), "{:.2f}".format),
            "" if r.peak_memory_bytes is None else f"{r.peak_memory_bytes / 2**20:,.0f} MiB",
            "" if r.set_up_seconds is None else f"{r.set_up_seconds:.1f} s",
        )
        for r in rows
    ]


def significant(value: float) -> str:
    """Three digits that count, without an exponent: 1234.5 is 1,230."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def _both(ours: Row | None, usual: Row | None) -> str:
    if ours is None or not ours.rates:
        return ours.note if ours else ""
    found = ratios(ours, usual)
    times = f", {statistics.median(found):.2f} times" if found else ""
    return significant(statistics.median(ours.rates)) + times


def _spread(values: Sequence[float], form: Callable[[float], str]) -> str:
    if not values:
        return ""
    return f"{form(statistics.median(values))} ({form(min(values))} to {form(max(values))})"


def _facts(result: Result) -> str:
    facts = result.facts
    switches = ", ".join(f"{key} {value}" for key, value in facts["switches"].items())
    peer = f", the peer is the checkout `{facts['peer']}`" if facts["peer"] else ""
    return (
        f"{facts['cores']} processor cores; ours with {switches}; usual loop with "
        f"{facts['workers']} DataLoader workers{peer}. {facts['images']}, recipe version "
        f"{facts['recipe_version']} (normalisation over {facts['bn_batch']} images); "
        f"{facts['repeats']} repeats of about {facts['seconds']:g} s, {facts['started']}, commit "
        f"{facts['commit'][:7]}{' with changes' if facts['dirty'] else ''}."
    )


def _missing(results: Sequence[Result]) -> str:
    seen = {result.machine.device for result in results}
    return "".join(f"Not measured yet: {w}.\n" for kind, w in EXPECTED.items() if kind not in seen)
