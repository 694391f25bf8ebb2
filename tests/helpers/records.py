"""Synthetic records for the tests of the report, written the way a run writes them."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resnet_repro.models.parameters import expected_parameters
from resnet_repro.paths import RECORDED
from resnet_repro.records import schema, store
from resnet_repro.records.evaluations import Evaluation, write_ensemble, write_evaluation
from resnet_repro.records.lease import LOCK

LENGTHS = {"paper": 64_000, "quarter": 16_000, "short": 8_000, "demo": 674}
IMAGE_LENGTHS = {"paper": 600_000, "short": 75_000, "imagenette": 500}
IMAGE_CROPS = {"imagenet": 224, "imagenette": 112}  # data sets of photographs
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
    status: schema.Status = "done"
    precision: str = "fp32"
    device_name: str = "Some Processor"
    parameters: int | None = None  # what the network has
    rows: int = 8
    dirty: bool = False
    skipped: tuple[str, ...] = ()
    digest: str = "0" * 64
    warmup_ended: int | None = None
    start: float = 80.0  # where the curve of an error begins
    gradients: tuple[float, ...] = (0.5,) * 5  # norm of each stage, the same in every row
    bn_statistics: str = "averaged"
    weights: float | None = 1.0  # norm of each stage's weights; None: not recorded
    # evaluation -> top-1 and top-5 error
    evaluations: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    images_per_second: float = 1000.0
    response: float = 1.5  # standard deviation of the first layer's

    @property
    def run(self) -> schema.RunId:
        return schema.RunId(self.dataset, self.arm, self.protocol, self.seed)


def lease_elsewhere(folder: Path) -> Path:
    """A lease that a process of another machine has on a run's folder; its heart beats now."""
    path = folder / LOCK
    lines = ["filelock/2", "pid=1", "host=elsewhere", "mode=lease", "token=1", "duration=60.0"]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def write(results: Path, *fakes: Fake) -> None:
    """Write each as a finished record below `results`."""
    for fake in fakes:
        _write(results, fake)


def counts(results: Path, *networks: str) -> None:
    """The committed counts of these networks, below `results`."""
    where = results / "counts"
    where.mkdir(parents=True)
    for name in networks:
        shutil.copy(RECORDED / "counts" / f"{name}.json", where)


def imagenet(arm: str, *errors: float, **changes: object) -> Fake:
    """A run on ImageNet, with the 10-crop top-1 and top-5 errors where they are given."""
    made = {"ten_crop": (errors[0], errors[1])} if errors else {}
    fake = Fake(arm, 30.0, 31.0, dataset="imagenet", evaluations=made)
    return dataclasses.replace(fake, **changes)  # type: ignore[arg-type]


def ensemble(
    results: Path, name: str, *members: str, top5: float = 4.1, dataset: str = "imagenet"
) -> Path:
    """Write an ensemble's evaluation, its members given as arm/protocol/seedK."""
    settings: dict[str, object] = {
        "crops": "dense",
        "sizes": [224, 256, 384, 480, 640],
        "crop": 224,
        "bn": "moving",
        "members": [{"run": member, "spec_hash": "0" * 64} for member in members],
    }
    values: dict[str, object] = {"images": 50_000, "top1_error": 18.5, "top5_error": top5}
    return write_ensemble(results, dataset, Evaluation(name, "", settings, values, {}))


def _write(results: Path, fake: Fake) -> None:
    run, folder = fake.run, fake.run.folder(results)
    crop = IMAGE_CROPS.get(fake.dataset)
    length = (LENGTHS if crop is None else IMAGE_LENGTHS)[fake.protocol]
    every = max(1, length // fake.rows)
    spec = schema.Spec(
        network=fake.network or fake.arm,
        dataset=fake.dataset,
        dataset_digest=fake.digest,
        recipe={
            "iterations": length,
            "drops": [length // 2, length * 3 // 4],
            "bn_statistics": fake.bn_statistics,
            "bn_images": 10_000,
            "mean": "pixel",
            "flip": True,
            "init": "fan_out",
            **(
                {"batch_size": 128, "pad": 4} if crop is None else {"batch_size": 256, "crop": crop}
            ),
        },
        recipe_version=2,
        seed=fake.seed,
    )
    iterations = [*(every * (i + 1) for i in range(fake.rows - 1)), length]
    store.write_spec(folder, run, spec)
    store.write_execution(folder, _execution(fake))
    metrics: list[dict[str, Any]] = [
        {
            "iteration": i,
            "lr": 0.1,
            "train_loss": 0.5,
            "train_error": _curve(fake, fake.train_error, i, iterations[-1]),
            "test_loss": 0.6,
            "test_error": _curve(fake, fake.test_error, i, iterations[-1]),
            "test_error_moving": _curve(fake, fake.test_error, i, iterations[-1]),
        }
        for i in iterations
    ]
    store.write_table(folder / "metrics.csv", schema.METRICS, metrics)
    tested = [row for row in metrics if math.isfinite(row["test_error"])]
    best = min(tested, key=lambda row: row["test_error"], default=None)
    rate = fake.images_per_second
    timing = [{"iteration": i, "seconds": 10.0, "images_per_second": rate} for i in iterations]
    store.write_table(folder / "timing.csv", schema.TIMING, timing)
    *stages, last = fake.gradients
    values = fake.gradients if crop is None else (*stages, stages[-1], last)
    names = [s for s in schema.STAGES if crop is not None or s != "layer4"]
    norms = dict(zip(names, values, strict=True))
    columns: tuple[str, ...] = ("iteration", *names)
    if fake.weights is not None:
        columns = schema.gradient_columns(names)
        norms |= {f"{name}_weights": fake.weights for name in names}
    gradients: list[dict[str, object]] = [{"iteration": i, **norms} for i in (1, *iterations)]
    store.write_table(folder / "gradients.csv", columns, gradients)
    layers: list[dict[str, object]] = [{"layer": 1, "name": "conv1", "std": fake.response}]
    store.write_table(folder / "layers.csv", schema.LAYERS, layers)
    store.write_result(
        folder,
        schema.Result(
            status=fake.status,
            spec_hash=spec.hash,
            iterations=length,
            parameters=fake.parameters or expected_parameters(spec.network, spec.dataset) or 1,
            train_loss=0.5,
            train_error=fake.train_error,
            test_loss=0.6,
            test_error=fake.test_error,
            test_error_moving=fake.test_error,
            best_test_error=best["test_error"] if best else None,
            best_test_iteration=best["iteration"] if best else None,
            warmup_ended=fake.warmup_ended,
        ),
    )
    for name, (top1, top5) in fake.evaluations.items():
        settings: dict[str, object] = {"crops": name, "sizes": [256], "crop": crop, "bn": "moving"}
        errors: dict[str, object] = {"images": 50_000, "top1_error": top1, "top5_error": top5}
        write_evaluation(folder, Evaluation(name, spec.hash, settings, errors, {}))


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
        skipped_images=fake.skipped,
        command="run",
        started="2026-01-01T00:00:00Z",
        ended="2026-01-01T01:00:00Z",
    )


def _curve(fake: Fake, final: float | None, i: int, length: int) -> float:
    """From far above down to `final`, exactly, with a ripple that differs between seeds."""
    if final is None:
        return math.nan
    left = 1 - i / length
    ripple = left * 2 * math.sin(i * 7 + fake.seed)
    return min(100.0, max(0.0, final + left**2 * (fake.start - final) + ripple))
