"""Recorded runs as a notebook shows them: nets trained on CIFAR-10 that travel with the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet_repro.errors import UserError
from resnet_repro.paper.published import PAPER_PROTOCOL
from resnet_repro.paths import RECORDED
from resnet_repro.records import schema
from resnet_repro.records.store import find_runs, is_done, read_table


@dataclass(frozen=True)
class Recorded:
    """A finished run: its protocol, and its tables (errors in %, by iteration)."""

    protocol: str
    training_error: dict[int, float]
    test_error: dict[int, float]
    layer_std: Sequence[float]  # of each 3x3 layer's output, from input to output (Fig. 7)
    weight_norms: dict[str, dict[int, float]]  # by stage; empty where none were recorded
    rate: dict[int, float]  # the learning rate

    def effective_rate(self, stage: str) -> dict[int, float]:
        """The learning rate over the squared norm of a stage's weights, by iteration.

        Under batch normalisation the scale of weights changes nothing but the size of a step,
        which is this (van Laarhoven, 2017). Empty where no norms were recorded.
        """
        norms = self.weight_norms.get(stage, {})
        return {at: self.rate[at] / norm**2 for at, norm in norms.items() if at in self.rate}


def recorded(*networks: str, results: Path = RECORDED) -> dict[str, Recorded]:
    """The networks' recorded CIFAR-10 runs: under `paper` where all of them have one.

    Otherwise under the first other protocol that all have. Of several seeds the lowest. Raises
    UserError where there is none.
    """
    found: dict[str, dict[str, Path]] = {}
    for run, folder in find_runs(results):
        if run.dataset == "cifar10" and run.arm in networks and is_done(folder):
            found.setdefault(run.protocol, {}).setdefault(run.arm, folder)
    whole = [protocol for protocol, runs in found.items() if set(runs) == set(networks)]
    if not whole:
        raise UserError(f"{results} has no protocol under which {', '.join(networks)} all ended")
    protocol = PAPER_PROTOCOL if PAPER_PROTOCOL in whole else whole[0]
    return {name: _read(found[protocol][name], protocol) for name in networks}


def _read(folder: Path, protocol: str) -> Recorded:
    metrics = read_table(folder / "metrics.csv", *schema.METRICS_FORMS)
    norms = read_table(folder / "gradients.csv", *schema.GRADIENT_FORMS)
    layers = read_table(folder / "layers.csv", schema.LAYERS)

    def column(rows: Sequence[dict[str, str]], name: str) -> dict[int, float]:
        return {int(row["iteration"]): float(row[name]) for row in rows}

    stages = [s for s in schema.STAGES if norms and f"{s}_weights" in norms[0]]
    return Recorded(
        protocol,
        column(metrics, "train_error"),
        column(metrics, "test_error"),
        [float(row["std"]) for row in layers],
        {stage: column(norms, f"{stage}_weights") for stage in stages},
        column(metrics, "lr"),
    )
