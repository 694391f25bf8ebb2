"""Synthetic records for the tests of the report, written the way a run writes them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from resnet_repro.records import schema, store

LENGTHS = {"paper": 64_000, "short": 8_000, "demo": 674}
PARAMETERS = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}


@dataclasses.dataclass(frozen=True)
class Fake:
    """A run to be made up; errors in %."""

    arm: str
    test_error: float | None = 9.0
    train_error: float | None = 1.0
    protocol: str = "paper"
    seed: int = 0
    dataset: str = "cifar10"
    network: str = ""  # the arm's name unless given
    status: str = "done"
    precision: str = "fp32"
    device_name: str = "Some Processor"
    parameters: int = 269_722
    rows: int = 8
    dirty: bool = False
    digest: str = "0" * 64
    gradients: tuple[float, ...] = (0.5,) * 5  # norm of each stage, the same in every row

    @property
    def run(self) -> schema.RunId:
        return schema.RunId(self.dataset, self.arm, self.protocol, self.seed)


def write(results: Path, *fakes: Fake) -> None:
    """Write each as a finished record below `results`."""
    for fake in fakes:
        _write(results, fake)


def _write(results: Path, fake: Fake) -> None:
    run, folder = fake.run, fake.run.folder(results)
    length = LENGTHS[fake.protocol]
    every = max(1, length // fake.rows)
    spec = schema.Spec(
        network=fake.network or fake.arm,
        dataset=fake.dataset,
        dataset_digest=fake.digest,
        recipe={"iterations": length, "drops": [length // 2, length * 3 // 4]},
        recipe_version=1,
        seed=fake.seed,
    )
    iterations = [every * (i + 1) for i in range(fake.rows)]
    store.write_spec(folder, run, spec)
    store.write_execution(folder, _execution(fake))
    metrics: list[dict[str, object]] = [
        {
            "iteration": i,
            "lr": 0.1,
            "train_loss": 0.5,
            "train_error": _curve(fake.train_error, i, iterations[-1], fake.seed),
            "test_loss": 0.6,
            "test_error": _curve(fake.test_error, i, iterations[-1], fake.seed),
        }
        for i in iterations
    ]
    store.write_table(folder / "metrics.csv", schema.METRICS, metrics)
    timing = [{"iteration": i, "seconds": 10.0, "images_per_second": 1000.0} for i in iterations]
    store.write_table(folder / "timing.csv", schema.TIMING, timing)
    norms = dict(zip(schema.GRADIENTS[1:], fake.gradients, strict=True))
    gradients: list[dict[str, object]] = [{"iteration": i, **norms} for i in iterations]
    store.write_table(folder / "gradients.csv", schema.GRADIENTS, gradients)
    layers: list[dict[str, object]] = [{"layer": 1, "name": "conv1", "std": 1.5}]
    store.write_table(folder / "layers.csv", schema.LAYERS, layers)
    store.write_result(
        folder,
        schema.Result(
            status=fake.status,
            spec_hash=spec.hash,
            iterations=length,
            parameters=fake.parameters,
            train_loss=0.5,
            train_error=fake.train_error,
            test_loss=0.6,
            test_error=fake.test_error,
            best_test_error=fake.test_error,
            best_test_iteration=length,
            warmup_ended=None,
        ),
    )


def _execution(fake: Fake) -> schema.Execution:
    return schema.Execution(
        versions={"torch": "0"},
        device="cpu",
        device_name=fake.device_name,
        precision=fake.precision,
        compile=False,
        cuda_graph=False,
        channels_last=True,
        threads=1,
        world_size=1,
        commit="0" * 40,
        dirty=fake.dirty,
        command="run",
        started="2026-01-01T00:00:00Z",
        ended="2026-01-01T01:00:00Z",
    )


def _curve(final: float | None, i: int, length: int, seed: int) -> float:
    """From far above down to `final`, exactly, with a ripple that differs between seeds."""
    if final is None:
        return math.nan
    left = 1 - i / length
    return final + left**2 * (80 - final) + left * 2 * math.sin(i * 7 + seed)
