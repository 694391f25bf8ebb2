"""A step, an evaluation and a run compute what a plain version of them computes."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from msgspec.structs import replace

from resnet_repro import kernels
from resnet_repro.data.dataset import Dataset
from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.data.source import statistics_chunks
from resnet_repro.errors import UserError
from resnet_repro.evaluate.layer_responses import layer_responses, response_layers
from resnet_repro.evaluate.single_view import averaged_statistics, single_view_error
from resnet_repro.models import build
from resnet_repro.records import store
from resnet_repro.records.lease import Busy
from resnet_repro.records.verify import problems
from resnet_repro.runtime.device import choose, computing
from resnet_repro.train.job import Job
from resnet_repro.train.loop import Stopped, Watch, train
from resnet_repro.train.optimizer import make_optimizer
from resnet_repro.train.recipe import PROTOCOLS, Recipe
from resnet_repro.train.trainer import Trainer
from tests.helpers.training_jobs import pixels_of, read_rows, smoke_job

CPU = choose("cpu", "fp32")


def plain_forward(state: dict[str, torch.Tensor], x: torch.Tensor, blocks: int) -> torch.Tensor:
    """ResNet with option A from its parameters alone, in training mode, no module of ours."""

    def conv_bn(x: torch.Tensor, conv: str, bn: str, stride: int = 1) -> torch.Tensor:
        x = F.conv2d(x, state[f"{conv}.weight"], stride=stride, padding=1)
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        variance = x.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
        scale, shift = state[f"{bn}.weight"], state[f"{bn}.bias"]
        x = (x - mean) / (variance + 1e-5).sqrt()
        return x * scale[None, :, None, None] + shift[None, :, None, None]

    x = conv_bn(x, "conv1", "bn1").clamp(min=0)
    for stage in (1, 2, 3):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = conv_bn(x, f"{at}.conv1", f"{at}.bn1", stride).clamp(min=0)
            y = conv_bn(y, f"{at}.conv2", f"{at}.bn2")
            if stride == 2:
                x = x[:, :, ::2, ::2]
                x = torch.cat([x, torch.zeros_like(x)], dim=1)
            x = (x + y).clamp(min=0)
    return x.mean(dim=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def test_gradients_of_one_step_equal_those_of_a_step_written_plainly(digits: Dataset) -> None:
    recipe = PROTOCOLS["smoke"]
    trainer = Trainer("resnet14-w4", digits, recipe, 5, CPU)
    trainer.model.double()
    trainer.optimizer = make_optimizer(trainer.model, recipe, 0.1)
    state = {k: v.detach().clone().contiguous() for k, v in trainer.model.state_dict().items()}
    leaves = {k: state[k].requires_grad_() for k, _ in trainer.model.named_parameters()}
    x, labels = pixels_of(trainer).train_batch(0)
    batch = x.double()
    pixels_of(trainer).batch_at = lambda iteration: (batch, labels)  # type: ignore[method-assign]
    trainer.step(0)

    log_p = torch.log_softmax(plain_forward(state, batch.contiguous(), blocks=2), dim=1)
    loss = -log_p[torch.arange(len(labels)), labels].mean()
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    ours = dict(trainer.model.named_parameters())
    for (name, before), gradient in zip(leaves.items(), gradients, strict=True):
        torch.testing.assert_close(ours[name].grad, gradient, rtol=1e-9, atol=1e-11)
        stepped = before.detach() - 0.1 * (gradient + 1e-4 * before.detach())
        torch.testing.assert_close(ours[name].detach(), stepped, rtol=1e-9, atol=1e-11)
    squares = sum(
        float(g.square().sum())
        for n, g in zip(leaves, gradients, strict=True)
        if n.startswith("layer2.")
    )
    assert trainer.gradient_norms()["layer2"] == pytest.approx(squares**0.5, rel=1e-6)


def test_gradients_with_bn_over_chunks_equal_those_of_separate_devices(digits: Dataset) -> None:
    """bn_batch emulates data parallelism: the gradient is the mean of the chunks' gradients."""
    trainer = Trainer("resnet8-w4", digits, PROTOCOLS["smoke"], 0, CPU)
    x, labels = pixels_of(trainer).train_batch(0)
    chunked = build("resnet8-w4", in_channels=1, bn_batch=16, seed=1).double()
    whole = build("resnet8-w4", in_channels=1, seed=1).double()
    F.cross_entropy(chunked(x.double()), labels).backward()
    for part in (slice(0, 16), slice(16, 32)):
        (F.cross_entropy(whole(x[part].double()), labels[part]) / 2).backward()
    for ours, theirs in zip(chunked.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_interval_figures_are_means_over_its_batches(tiny_data: Dataset) -> None:
    trainer = Trainer("resnet8", tiny_data, PROTOCOLS["smoke"], 0, CPU)
    losses, errors = [], []
    for iteration in range(3):
        x, labels = pixels_of(trainer).train_batch(iteration)
        with torch.no_grad():
            logits = trainer.model(x)
        losses.append(F.cross_entropy(logits, labels).item())
        errors.append(100 * (logits.argmax(1) != labels).float().mean().item())
        trainer.step(iteration)
    loss, error = trainer.pop_train_metrics(3)
    assert loss == pytest.approx(sum(losses) / 3, rel=1e-5)
    assert error == pytest.approx(sum(errors) / 3)
    trainer.step(3)
    assert trainer.pop_train_metrics(1)[0] != pytest.approx(loss)


def source(data: Dataset) -> InMemoryLoader:
    return InMemoryLoader(
        data, seed=0, batch_size=32, pad=4, flip=True, mean="pixel", device=torch.device("cpu")
    )


def test_single_view_error_counts_every_test_image_once(tiny_data: Dataset) -> None:
    pixels = source(tiny_data)
    model = build("resnet8").train()
    loss, error = single_view_error(model, pixels)
    assert model.training
    model.eval()
    logits = model(next(pixels.test_batches())[0])
    assert error == pytest.approx(
        100 * (logits.argmax(1) != pixels.test_labels).float().mean().item()
    )
    assert loss == pytest.approx(F.cross_entropy(logits, pixels.test_labels).item(), rel=1e-5)


def test_averaged_statistics_are_means_over_chunks_of_training_images(tiny_data: Dataset) -> None:
    """By hand for the first layer, and for all layers by a copy that sees one chunk at a time."""
    pixels = source(tiny_data)
    model: Any = build("resnet8", bn_batch=32)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = averaged_statistics(model, pixels.chunk_batches(200, 32))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    chunks = torch.cat(list(pixels.chunk_batches(200, 32))).split(32)
    assert [len(chunk) for chunk in chunks] == [32] * 7  # 200 images in whole chunks
    outs = [F.conv2d(chunk, model.conv1.weight, padding=1) for chunk in chunks]
    means = torch.stack([out.mean((0, 2, 3)) for out in outs]).mean(0)
    variances = torch.stack([out.var((0, 2, 3)) for out in outs]).mean(0)
    torch.testing.assert_close(
        found[0].float(), torch.stack([means, variances]), rtol=1e-4, atol=1e-3
    )
    copy: Any = build("resnet8", bn_batch=32)  # of the same seed
    one_by_one = [averaged_statistics(copy, [chunk]) for chunk in chunks]
    for layer, statistics in enumerate(found):
        mean = torch.stack([each[layer] for each in one_by_one]).mean(0)
        torch.testing.assert_close(statistics, mean, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("count", "images", "chunk", "shape"),
    [
        (50_000, 10_000, 64, (157, 64)),
        (1_437, 10_000, 64, (22, 64)),
        (100, 50, 25, (2, 25)),
        (30, 100, 64, (1, 30)),
    ],
)
def test_statistics_are_of_whole_chunks(
    count: int, images: int, chunk: int, shape: tuple[int, int]
) -> None:
    chosen = statistics_chunks(count, images, chunk)
    assert chosen.shape == shape
    assert len(np.unique(chosen)) == chosen.size
    assert chosen.min() >= 0
    assert chosen.max() < count
    # Each chunk spans the whole order, whose neighbours are of one class where files are sorted.
    assert (chosen.max(1) - chosen.min(1)).min() >= count * (1 - 2 / shape[1])


def test_training_does_not_depend_on_tests(digits: Dataset) -> None:
    """Bit for bit, with averaged statistics and with moving ones."""
    ends = []
    for tests in (0, 1, 3):
        recipe = dataclasses.replace(PROTOCOLS["smoke"], bn_batch=16, warmup_lr=0.01)
        trainer = Trainer("resnet8-w8", digits, recipe, 0, CPU)
        for iteration in range(4):
            trainer.step(iteration)
            tested = [trainer.test() for _ in range(tests)]
            assert len(set(tested)) <= 1  # a test changes no later one either
            trainer.weight_norms(), trainer.gradient_norms()
        ends.append({k: v.clone() for k, v in trainer.state()[0].items()})
        assert tests == 0 or tested[0].error != tested[0].error_moving
    for other in ends[1:]:
        assert all(torch.equal(other[k], v) for k, v in ends[0].items())


def test_the_kept_statistics_are_those_of_the_last_test(digits: Dataset) -> None:
    recipe = dataclasses.replace(PROTOCOLS["smoke"], bn_batch=16)
    for statistics in ("averaged", "moving"):
        trainer = Trainer(
            "resnet8-w8", digits, dataclasses.replace(recipe, bn_statistics=statistics), 0, CPU
        )
        for iteration in range(4):
            trainer.step(iteration)
        tested = trainer.test()
        trainer.adopt_averages()
        assert trainer.test_in_float32() == tested.error
        assert (tested.error == tested.error_moving) is (statistics == "moving")


def test_norms_of_the_first_step_stand_before_the_first_row(
    tmp_path: Path, digits: Dataset
) -> None:
    job = smoke_job(tmp_path, digits, "plain8-w8")
    train(job, digits, Watch())
    rows = read_rows(job.folder / "gradients.csv")
    assert [row["iteration"] for row in rows] == ["1", "4", "8", "12"]
    # The weights that the first gradient was taken at are the initial ones.
    start = build("plain8-w8", in_channels=1, bn_batch=32)
    parameters = {n: p.detach() for n, p in start.named_parameters()}
    for stage in ("conv1", "layer1", "layer2", "layer3", "fc"):
        mine = [
            p for n, p in parameters.items() if n.replace("bn1", "conv1", 1).split(".")[0] == stage
        ]
        norm = sum(float(p.double().square().sum()) for p in mine) ** 0.5
        assert float(rows[0][f"{stage}_weights"]) == pytest.approx(norm, rel=1e-6)
        assert float(rows[1][f"{stage}_weights"]) != pytest.approx(norm, rel=1e-6)


@pytest.mark.parametrize("network", ["plain14-w4", "resnet14-w4", "resnet14-B-w4"])
def test_layer_responses_are_bn_outputs_before_relu_or_addition(
    network: str, tiny_data: Dataset
) -> None:
    pixels = source(tiny_data)
    model: Any = build(network)
    found = layer_responses(model, pixels)
    assert [name for name, _ in found][:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert len(found) == 13  # 6n + 1, the projections of option B not among them
    assert len(response_layers(model)) == 13
    model.eval()
    with torch.no_grad():
        x = next(pixels.test_batches())[0]
        block = model.layer1[0]
        stem = model.bn1(model.conv1(x))
        assert found[0][1] == pytest.approx(stem.std(unbiased=False).item(), rel=1e-4)
        first = block.bn1(block.conv1(stem.relu()))
        second = block.bn2(block.conv2(first.relu()))
    assert found[1][1] == pytest.approx(first.std(unbiased=False).item(), rel=1e-4)
    assert found[2][1] == pytest.approx(second.std(unbiased=False).item(), rel=1e-4)


def test_a_run_leaves_a_whole_record(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4")
    rows: list[store.Row] = []
    result = train(job, digits, Watch(row=rows.append))
    assert problems(job.run, job.folder) == []
    assert sorted(p.name for p in job.folder.iterdir()) == [
        "execution.json",
        "gradients.csv",
        "layers.csv",
        "metrics.csv",
        "result.json",
        "spec.json",
        "timing.csv",
        "weights.safetensors",
    ]
    assert [row["iteration"] for row in rows] == [4, 8, 12]
    assert result.status == "done"
    assert result.test_error == rows[-1]["test_error"]  # the final iterate, not the best
    assert result.best_test_error == min(row["test_error"] for row in rows)
    assert not list(job.checkpoints.glob("*.checkpoint"))
    weights = safetensors.torch.load_file(job.folder / "weights.safetensors")
    assert weights["conv1.weight"].dtype == torch.float16
    model = build("resnet8-w4", in_channels=1)
    model.load_state_dict(weights)
    pixels = InMemoryLoader(
        digits, seed=0, batch_size=32, pad=1, flip=False, mean="pixel", device=torch.device("cpu")
    )
    assert single_view_error(model, pixels)[1] == pytest.approx(result.half_precision_test_error)


def test_the_execution_is_an_allow_list(
    tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("RESNET_REPRO_COMMIT", "abc123")
    job = smoke_job(tmp_path, digits, "resnet8-w4")
    train(job, digits, Watch())
    text = (job.folder / "execution.json").read_text()
    assert "hunter2" not in text
    assert str(tmp_path) not in text
    execution = json.loads(text)
    assert execution["commit"] == "abc123"
    assert execution["started"] <= execution["ended"]
    assert set(execution["versions"]) == {"python", "torch", "torchvision", "numpy", "safetensors"}


def test_divergence_is_recorded_and_not_hidden(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, "plain8-w4", lr=1e30)
    result = train(job, digits, Watch())
    assert result.status == "diverged"
    assert result.train_loss is None
    assert result.iterations == 4  # the first row shows it
    assert not (job.folder / "weights.safetensors").exists()
    assert problems(job.run, job.folder) == []
    with (job.folder / "metrics.csv").open() as file:
        assert [row["train_loss"] for row in csv.DictReader(file)] == ["nan"]


def stop_after(steps: int) -> Callable[[], bool]:
    left = [steps]

    def stop() -> bool:
        left[0] -= 1
        return left[0] <= 0

    return stop


def test_a_run_stopped_at_every_step_ends_as_an_undisturbed_one(
    tmp_path: Path, digits: Dataset
) -> None:
    """Bit for bit: metrics, gradients, layer stds and weights; warm-up under way included."""
    changes = {"warmup_lr": 0.01, "warmup_window": 5, "warmup_error": 95.0}
    whole = smoke_job(tmp_path / "whole", digits, "resnet8-w4", **changes)
    train(whole, digits, Watch())
    broken = smoke_job(tmp_path / "broken", digits, "resnet8-w4", **changes)
    sittings = 0
    while not store.is_done(broken.folder):
        sittings += 1
        with contextlib.suppress(Stopped):
            train(broken, digits, Watch(stop=stop_after(1)))
    assert sittings == 12
    for name in (
        "metrics.csv",
        "gradients.csv",
        "layers.csv",
        "weights.safetensors",
        "result.json",
    ):
        ours, theirs = (job.folder / name for job in (broken, whole))
        if name == "result.json":
            a, b = json.loads(ours.read_text()), json.loads(theirs.read_text())
            a["files"].pop("timing.csv"), b["files"].pop("timing.csv")
            assert a == b
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name
    execution = json.loads((broken.folder / "execution.json").read_text())
    assert execution["resumed_at"] == list(range(1, 12))


def test_a_second_process_is_told_that_the_run_is_taken(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4")

    def try_again(iteration: int) -> None:
        if iteration == 5:
            with pytest.raises(Busy, match="another process is training this run"):
                train(job, digits, Watch())

    assert train(job, digits, Watch(step=try_again)).status == "done"


def test_a_record_of_another_spec_is_refused_and_kept(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4")
    train(job, digits, Watch())
    before = {p.name: p.read_bytes() for p in job.folder.iterdir()}
    other = dataclasses.replace(job, spec=replace(job.spec, dataset_digest="0" * 64))
    with pytest.raises(UserError, match="another spec"):
        train(other, digits, Watch())
    assert {p.name: p.read_bytes() for p in job.folder.iterdir()} == before


def test_a_finished_run_is_not_trained_again(tmp_path: Path, digits: Dataset) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4")
    first = train(job, digits, Watch())
    steps: list[int] = []
    assert train(job, digits, Watch(step=steps.append)) == first
    assert steps == []


def test_every_switch_changes_the_outcome(tmp_path: Path, digits: Dataset) -> None:
    """A switch that nothing reads would leave the final loss where it was."""
    base = {"momentum_form": "caffe", "iterations": 12}
    losses = {"": _final_loss(tmp_path / "base", digits, base)}
    for name, value in {
        "momentum_form": "nesterov",
        "momentum": 0.5,
        "weight_decay": 0.1,
        "weight_decay_on": "weights",
        "init": "fan_in",
        "bn_batch": 8,
        "bn_statistics": "moving",
        "bn_images": 32,
        "bn_momentum": 0.5,
        "bn_eps": 1.0,
        "classifier_init": "gaussian",
        "mean": "channel",
        "pad": 2,
        "flip": True,
        "lr": 0.05,
        "lr_divisor": 2.0,
        "drops": (2,),
        "warmup_lr": 0.01,
        "warmup_iterations": 3,
        "batch_size": 16,
    }.items():
        changed = {**base, name: value}
        if name == "weight_decay_on":  # shows only where the decay matters
            changed["weight_decay"] = 0.1
        if name == "warmup_iterations":
            changed["warmup_lr"] = 0.01
        losses[name] = _final_loss(tmp_path / name, digits, changed)
    assert len(set(losses.values())) == len(losses), losses


def _final_loss(folder: Path, digits: Dataset, changes: dict[str, object]) -> float:
    job = smoke_job(folder, digits, "resnet8-w4", **changes)
    train(job, digits, Watch())
    # The sum of both tests' figures: the momentum of the moving averages shows in one alone.
    last = read_rows(job.folder / "metrics.csv")[-1]
    return float(last["test_loss"]) + float(last["test_error_moving"])


def test_a_smaller_run_with_its_own_rows_ends_on_a_row(tmp_path: Path, digits: Dataset) -> None:
    job: Job = smoke_job(tmp_path, digits, "resnet8-w4", iterations=7, row_every=3)
    train(job, digits, Watch())
    assert [row["iteration"] for row in read_rows(job.folder / "metrics.csv")] == ["3", "6", "7"]


@pytest.mark.slow
def test_precisions_and_kernels_learn_alike(tmp_path: Path, digits: Dataset) -> None:
    """Trajectories differ; the error they reach does not, beyond what seeds do."""
    ways = {
        "plain": choose("cpu", "fp32", kernels="off"),
        "bf16": choose("cpu", "bf16"),
        "kernels": dataclasses.replace(choose("cpu", "fp32"), kernels=kernels.available()),
    }
    errors: dict[str, list[float]] = {way: [] for way in ways}
    for way, device in ways.items():
        for seed in range(3):
            job = smoke_job(tmp_path / way, digits, "resnet8-w8", iterations=100, drops=(70,))
            spec = replace(job.spec, seed=seed)
            run = dataclasses.replace(job.run, seed=seed)
            job = dataclasses.replace(job, run=run, spec=spec, device=device)
            train(job, digits, Watch())
            errors[way].append(float(read_rows(job.folder / "metrics.csv")[-1]["train_error"]))
    means = {way: sum(found) / 3 for way, found in errors.items()}
    assert max(means.values()) < 20
    assert max(means.values()) - min(means.values()) < 5


@pytest.mark.gpu
def test_gradients_on_the_gpu_equal_those_on_the_cpu(digits: Dataset) -> None:
    recipe: Recipe = PROTOCOLS["smoke"]
    norms = []
    for device in (CPU, choose("cuda", "fp32")):
        with computing(device):  # else it would be TF32
            trainer = Trainer("resnet14-w4", digits, recipe, 5, device)
            trainer.step(0)
            norms.append(trainer.gradient_norms())
    assert norms[1] == pytest.approx(norms[0], rel=1e-4)
