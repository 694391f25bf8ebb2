"""The table of the benchmark as Markdown, from what its files hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.contestant import OURS, PEER, USUAL
from benchmarks.files import Recorded
from benchmarks.summary import Summary
from resnet_repro.report.figures import network_label
from resnet_repro.report.render import Grid, markdown_grid
from resnet_repro.train.job import Job

DEVICE_WORDS = {"cpu": "CPU", "cuda": "GPU", "mps": "MPS"}
EXPECTED = ("cpu", "cuda")  # a table without one of them says so
NETWORKS = ("resnet20", "resnet56", "resnet110")
GPU_NETWORKS = (*NETWORKS, "resnet1202")
COLUMNS = (
    "device",
    "network",
    "loop",
    "images a second",
    "ours is faster by",
    "peak memory",
    "set-up",
    "64k iterations",
    "of the floor",
    "evaluation, rows, checkpoints",
)


def markdown(recorded: Sequence[Recorded]) -> str:
    """One table of all devices, the machines below it, and what the columns mean."""
    parts = [markdown_grid(grid(recorded))]
    parts += [f"{machine_words(found)}\n" for found in recorded]
    parts.append(f"{notes(recorded)}\n")
    return "\n".join(parts)


def grid(recorded: Sequence[Recorded]) -> Grid:
    """Cells as text; a device that was not measured gets its rows, too."""
    rows: list[tuple[str, ...]] = []
    measured = {found.device: found for found in recorded}
    for device in dict.fromkeys((*EXPECTED, *measured)):
        if device in measured:
            rows += [_cells(device, summary) for summary in measured[device].summaries]
            continue
        blank = ("",) * (len(COLUMNS) - 4)
        rows += [
            (DEVICE_WORDS[device], network_label(network), OURS, "not measured", *blank)
            for network in (GPU_NETWORKS if device == "cuda" else NETWORKS)
        ]
    return Grid(COLUMNS, tuple(rows))


def _cells(device: str, row: Summary) -> tuple[str, ...]:
    rate = (row.images_per_second, row.images_per_second_min, row.images_per_second_max)
    return (
        DEVICE_WORDS[device],
        network_label(row.network),
        row.contestant,
        row.note or _spread(rate, significant),
        _spread((row.ratio, row.ratio_min, row.ratio_max), lambda value: f"{value:.2f}"),
        _text(row.peak_memory_bytes, lambda value: f"{value / 2**20:,.0f} MiB"),
        _text(row.setup_seconds, lambda value: f"{value:.1f} s"),
        _text(row.run_seconds, duration),
        _text(row.fraction_of_floor, lambda value: f"{100 * value:.0f} % ({row.floor_limit})"),
        _text(row.overhead_paper, lambda value: f"{100 * value:.1f} %"),
    )


def significant(value: float) -> str:
    """Three digits that count, without an exponent: 1234.5 is 1,230."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def duration(seconds: float) -> str:
    """`48 s`, `4.2 min`, `20.3 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def _spread(values: tuple[float | None, ...], form: Any) -> str:
    median, least, most = values
    if median is None or least is None or most is None:
        return ""
    return f"{form(median)} ({form(least)} to {form(most)})"


def _text(value: float | None, form: Any) -> str:
    return "" if value is None else str(form(value))


def machine_words(found: Recorded) -> str:
    """The machine, its software and how ours was computed, in a sentence."""
    about = found.machine
    versions = about["versions"]
    switches = ", ".join(f"{key} {value}" for key, value in about["switches"].items())
    usual = about["usual"]
    length = f"{about['seconds']:g} s" if about.get("seconds") else f"{about.get('steps')} steps"
    return (
        f"{DEVICE_WORDS[found.device]}: {about['name']}, {about['cores']} processor cores, "
        f"torch {versions['torch']}; ours: {switches}; usual: fp32, threads {usual['threads']}, "
        f"{usual['workers']} DataLoader workers. Images: {about['images']}; "
        f"{about.get('repeats')} repeats of about {length}, {about.get('started')}. "
        f"Memory: {about['memory']}. {rate_words(about['rates'])}"
    )


def rate_words(rates: dict[str, Any]) -> str:
    """The measured rates behind the floor."""
    text = (
        f"Measured: {rates['multiply_adds_per_second'] / 1e9:,.0f} G multiply-adds a second, "
        f"{rates['bytes_per_second'] / 1e9:,.1f} GB/s"
    )
    node = rates.get("seconds_per_node")
    return text + (f", {1e6 * node:.2f} µs a graph node." if node else ".")


def notes(recorded: Sequence[Recorded]) -> str:
    """What the words in the table mean."""
    peers = [str(found.machine["peer"]) for found in recorded if found.machine.get("peer")]
    text = (
        f"`{OURS}`: this suite's trainer, data pipeline included. `{USUAL}`: eager fp32, NCHW, "
        "torchvision's transforms on PIL images in a DataLoader, `.item()` at every step "
        "(benchmarks/usual.py). "
    )
    if peers:
        text += f"`{PEER}`: the network of {', '.join(dict.fromkeys(peers))} in the usual loop. "
    return text + (
        "Batches of 128; median over the repeats, least and most in brackets; contestants take "
        "turns within a repeat. Set-up: from construction to the first finished step, less a "
        "step, with nothing compiled before. 64k iterations: the training steps alone. Floor: "
        "the largest of arithmetic (3 forward passes at the rate of a large matrix product), "
        "memory (convolutions' maps moved once a use) and, on a GPU, launches; its part that is "
        "reached can exceed 100 %, since Winograd convolutions multiply less than the definition "
        "and maps that stay in a cache move no bytes (benchmarks/floor.py). Evaluation, rows, "
        "checkpoints: their part of a whole run's time under `paper`, with a "
        f"checkpoint every {Job.checkpoint_seconds:g} s."
    )
