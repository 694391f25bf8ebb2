"""Each way of computing a step computes the same step."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from resnet_repro import kernels
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.evaluate.single_view import CapturedView
from resnet_repro.models import build
from resnet_repro.records import store
from resnet_repro.runtime import device as device_module
from resnet_repro.runtime import trial
from resnet_repro.runtime.compilation import compile_blocks
from resnet_repro.runtime.device import Device, choose, computing, uncompiled
from resnet_repro.train.loop import Stopped, Watch, train
from resnet_repro.train.recipe import PROTOCOLS, Recipe
from resnet_repro.train.trainer import Trainer
from tests.helpers.training_jobs import pixels_of, smoke_job

# The compiler looks at what is no leaf; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")

CPU = choose("cpu", "fp32", kernels="off")
WARM = dataclasses.replace(
    PROTOCOLS["smoke"], warmup_lr=0.01, warmup_window=3, warmup_error=200.0, drops=(5, 9)
)


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def written_out(data: Dataset, recipe: Recipe, rates: list[float]) -> dict[str, Tensor]:
    """Weights after one step of Caffe's SGD at each of the rates."""
    source = pixels_of(Trainer("resnet8-w4", data, recipe, 0, CPU))
    model = build("resnet8-w4", in_channels=data.train.images.shape[1])
    velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    for iteration, lr in enumerate(rates):
        x, labels = source.train_batch(iteration)
        loss = F.cross_entropy(model(x), labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for (name, p), gradient in zip(model.named_parameters(), gradients, strict=True):
                velocity[name] = 0.9 * velocity[name] + lr * (gradient + 1e-4 * p)
                p.sub_(velocity[name])
    return dict(model.named_parameters())


@pytest.mark.parametrize("rows", [(8,), (2, 8), (4, 8), (1, 2, 3, 4, 5, 6, 7, 8)])
def test_the_warmup_in_training(digits: Dataset, rows: tuple[int, ...]) -> None:
    """Wherever the host looks, three steps at 0.01 are followed by 0.1 and its drop."""
    rates = [0.01] * 3 + [0.1] * 2 + [0.01] * 3
    trainer = Trainer("resnet8-w4", digits, WARM, 0, CPU)
    seen = []
    for iteration in range(8):
        trainer.step(iteration)
        if iteration + 1 in rows:
            trainer.pop_train_metrics(1)
            seen.append(trainer.rate(iteration + 1))
    assert trainer.warmup_ended == 3
    assert not trainer.warming
    assert seen == pytest.approx([rates[row - 1] for row in rows])
    for name, expected in written_out(digits, WARM, rates).items():
        ours = dict(trainer.model.named_parameters())[name]
        torch.testing.assert_close(ours, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("at", [1, 3, 4, 6])
def test_a_state_goes_on_bit_for_bit_on_either_side_of_the_warmup(digits: Dataset, at: int) -> None:
    whole, first, second = (Trainer("resnet8-w4", digits, WARM, 0, CPU) for _ in range(3))
    for iteration in range(8):
        whole.step(iteration)
        if iteration == 3:
            whole.pop_train_metrics(4)
    for trainer, steps in ((first, range(at)), (second, range(at, 8))):
        if trainer is second:
            tensors, plain = first.state()
            second.load({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(plain)))
        for iteration in steps:
            trainer.step(iteration)
            if iteration == 3:
                trainer.pop_train_metrics(4)
    assert whole.warmup_ended == second.warmup_ended
    for name, value in whole.state()[0].items():
        if not name.endswith("_sum"):
            assert torch.equal(value, second.state()[0][name]), name


def test_a_state_of_another_network_is_refused(digits: Dataset) -> None:
    trainer = Trainer("resnet8-w4", digits, WARM, 0, CPU)
    for other in ("resnet14-w4", "resnet8-w8"):
        tensors, plain = Trainer(other, digits, WARM, 0, CPU).state()
        with pytest.raises(KeyError):
            trainer.load(tensors, plain)


@pytest.mark.slow
@pytest.mark.usefixtures("_fresh_compiler")
def test_the_block_is_compiled_once_however_deep_the_network_is() -> None:
    compiled = {}
    for depth in (8, 14, 26):
        torch._dynamo.reset()
        counter = CompileCounter()
        model = build(f"resnet{depth}")
        compile_blocks(model, counter)
        with computing(dataclasses.replace(CPU, compile=True)):
            model(torch.zeros(2, 3, 32, 32))
        compiled[depth] = counter.frame_count
    # Three blocks that are the first of their stage, and two shapes of those that follow, the
    # first stage's all being alike; and the first layer's normalisation.
    assert compiled == {8: 4, 14: 6, 26: 6}


@pytest.mark.usefixtures("_fresh_compiler")
def test_beyond_the_compilers_limit_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not slow code without a word."""
    monkeypatch.setattr("resnet_repro.runtime.compilation.MOST_SHAPES", 4)
    model = build("plain8")
    compile_blocks(model, CompileCounter())

    def many_sizes() -> None:
        for size in (8, 12, 16, 20):
            model(torch.zeros(2, 3, size, 8))

    with computing(dataclasses.replace(CPU, compile=True)), pytest.raises(Exception, match="limit"):
        many_sizes()


@pytest.mark.slow
@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize("network", ["resnet14-w4", "plain8-w4", "resnet8-B-w4"])
def test_a_compiled_step_has_the_plain_steps_gradients(network: str) -> None:
    x = torch.randn(6, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain, compiled = build(network).double(), build(network).double()
    compile_blocks(compiled, "aot_eager")
    for model in (plain, compiled):
        F.cross_entropy(model(x), torch.arange(6)).backward()
    for ours, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12)
    with torch.no_grad(), uncompiled(dataclasses.replace(CPU, compile=True)):
        torch.testing.assert_close(compiled.eval()(x), plain.eval()(x))


def test_testing_with_a_replayed_batch_and_a_rest(digits: Dataset) -> None:
    """The bookkeeping around a captured batch; what stands in for capturing only repeats it."""
    trainer = Trainer("resnet8-w4", digits, PROTOCOLS["smoke"], 0, CPU)
    captures = []

    def capture(work: Any, state: Any) -> Any:
        captures.append(list(state))
        return work

    source = pixels_of(trainer)
    view = CapturedView(trainer.model, source, capture, batch=100)
    assert len(source.test_labels) % 100
    for _ in range(2):
        assert view.error()[1] == pytest.approx(trainer.test().error_moving)
    assert len(captures) == 1


def test_switches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="only CUDA has graphs"):
        choose("cpu", graph="on")
    with pytest.raises(UserError, match="not compiled"):
        choose("cpu", "fp32", kernels="on", compile="on")
    with pytest.raises(UserError, match="unknown setting"):
        choose("cpu", compile="yes")
    assert choose("cpu", "fp32", compile="on").compile
    assert not choose("cpu", "fp32").compile


def on_gpu(graph: str, compile: str) -> Device:
    return choose("cuda", "fp32", graph=graph, compile=compile)


@pytest.mark.gpu
@pytest.mark.parametrize("recipe", [PROTOCOLS["smoke"], WARM], ids=["plain", "warm-up"])
@pytest.mark.parametrize("compile", ["off", "on"])
def test_a_captured_step_equals_an_ordinary_one(
    digits: Dataset, recipe: Recipe, compile: str
) -> None:
    ends = []
    for graph in ("off", "on"):
        device = on_gpu(graph=graph, compile=compile if graph == "on" else "off")
        with computing(device):
            trainer = Trainer("resnet14-w4", digits, recipe, 0, device)
            for iteration in range(8):
                trainer.step(iteration)
            sums = trainer.pop_train_metrics(8)
            ends.append((sums, trainer.test(), trainer.gradient_norms(), trainer.warmup_ended))
    assert ends[1][0] == pytest.approx(ends[0][0], rel=1e-3)
    tests = [dataclasses.astuple(end[1]) for end in ends]
    assert tests[1] == pytest.approx(tests[0], rel=1e-2)
    assert ends[1][2] == pytest.approx(ends[0][2], rel=0.1)
    assert ends[1][3] == ends[0][3]


@pytest.mark.gpu
def test_capturing_leaves_no_step_behind(digits: Dataset) -> None:
    """The calls that a capture needs must not be in the weights, momentum, BN or sums."""
    device = on_gpu(graph="on", compile="off")
    with computing(device):
        trainer = Trainer("resnet8-w4", digits, PROTOCOLS["smoke"], 0, device)
        once = Trainer(
            "resnet8-w4", digits, PROTOCOLS["smoke"], 0, on_gpu(graph="off", compile="off")
        )
        trainer.step(0)
        once.step(0)
    for name, value in once.state()[0].items():
        torch.testing.assert_close(trainer.state()[0][name], value, rtol=1e-3, atol=1e-5)
    assert trainer.model.get_buffer("bn1.num_batches_tracked").item() == 1


@contextlib.contextmanager
def refusing_to_wait() -> Iterator[None]:
    """What makes the host wait for CUDA is an error."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Synchronization debug mode")
            torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_the_refusal_to_wait_ends_with_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when entering it fails, as by the warning that torch gives."""
    for failure in (None, "Synchronization debug mode is a prototype feature", "of another kind"):
        modes = ["default"]

        def set_mode(mode: str, failure: str | None = failure, modes: list[str] = modes) -> None:
            modes.append(mode)
            if failure and mode == "error":
                warnings.warn(failure, stacklevel=1)

        monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", set_mode)
        with pytest.raises((UserWarning, ZeroDivisionError)), refusing_to_wait():
            raise ZeroDivisionError
        assert modes == ["default", "error", "default"]


@pytest.mark.gpu
def test_no_step_waits_for_the_device(digits: Dataset) -> None:
    device = choose("cuda")
    with computing(device):
        trainer = Trainer("resnet8-w4", digits, WARM, 0, device)
        trainer.step(0)
        with refusing_to_wait():
            for iteration in range(1, 60):  # into the next epoch, across both drops
                trainer.step(iteration)


@pytest.mark.gpu
def test_a_captured_trainer_goes_on_from_a_state(digits: Dataset) -> None:
    device = choose("cuda")
    with computing(device):
        whole, first, second = (
            Trainer("resnet8-w4", digits, PROTOCOLS["smoke"], 0, device) for _ in range(3)
        )
        for iteration in range(8):
            whole.step(iteration)
        for iteration in range(4):
            first.step(iteration)
        second.step(0)  # captured before the state comes
        tensors, plain = first.state()
        second.load({k: v.clone() for k, v in tensors.items()}, plain)
        for iteration in range(4, 8):
            second.step(iteration)
    assert second.pop_train_metrics(8) == pytest.approx(whole.pop_train_metrics(8), rel=1e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_run_on_the_gpu_leaves_a_whole_record(
    tmp_path: Path, digits: Dataset, precision: str
) -> None:
    job = smoke_job(tmp_path, digits, "resnet8-w4", iterations=150, drops=(100,), row_every=50)
    job = dataclasses.replace(job, device=choose("cuda", precision))
    result = train(job, digits, Watch())
    assert result.status == "done"
    assert result.train_error is not None
    assert result.train_error < 30
    execution = json.loads((job.folder / "execution.json").read_text())
    assert execution["cuda_graph"]
    assert execution["compile"]
    assert execution["precision"] == precision


def test_a_later_way_must_be_clearly_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = (("fp32", True), ("bf16", True), ("bf16", False))
    for seconds, best in (
        ((1.0, 0.95, 0.92), 0),
        ((1.0, 0.8, 0.75), 1),
        ((1.0, 0.8, 0.6), 2),
        ((1.0, 1.5, 0.8), 2),
    ):
        times = dict(zip(ways, seconds, strict=True))
        monkeypatch.setattr(trial, "_times", lambda steps, times=times: times)
        assert trial.fastest.__wrapped__(ways, 1) == ways[best]
    assert trial.fastest((("bf16", False),), 1) == ("bf16", False)


def test_a_trial_leaves_chance_and_threads_alone() -> None:
    chance, threads = torch.get_rng_state(), torch.get_num_threads()
    ways = (("fp32", kernels.available()), ("bf16", kernels.available()))
    assert trial.fastest.__wrapped__(ways, 2) in ways
    assert torch.equal(torch.get_rng_state(), chance)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("built", [True, False])
def test_what_auto_chooses_from(native: bool, built: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "available", lambda: built)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    seen: list[trial.Way] = []

    def last(ways: tuple[trial.Way, ...], threads: int) -> trial.Way:
        seen[:] = ways
        return ways[-1]

    monkeypatch.setattr(device_module, "fastest", last)
    exact, ours = ("fp32", built), [("bf16", built)]
    theirs = [("bf16", False)] * (native and built)
    for kernels_switch, precision, expected in (
        ("auto", "auto", [exact, *ours, *theirs] if native else [exact]),
        ("off", "auto", [("fp32", False), *[("bf16", False)] * native]),
        ("auto", "fp32", [exact]),
        ("auto", "bf16", [*ours, *theirs]),
        ("off", "bf16", [("bf16", False)]),
    ):
        chosen = choose("cpu", precision, kernels=kernels_switch)
        assert seen == expected
        assert (chosen.precision, chosen.kernels) == expected[-1]
        assert chosen.tried == (len(expected) > 1)


def test_a_run_that_goes_on_computes_as_it_began(tmp_path: Path, digits: Dataset) -> None:
    """Where a trial chose; what was asked for is done, and recorded."""
    for tried, expected in ((True, "bf16"), (False, "fp32")):
        job = smoke_job(tmp_path / str(tried), digits, "resnet8-w4")
        began = dataclasses.replace(job.device, precision="bf16", tried=True)
        with pytest.raises(Stopped):
            train(dataclasses.replace(job, device=began), digits, Watch(stop=lambda: True))
        train(
            dataclasses.replace(job, device=dataclasses.replace(job.device, tried=tried)),
            digits,
            Watch(),
        )
        execution = store.read_record(job.run, job.folder).execution
        assert execution.precision == expected
        assert execution.earlier[0]["precision"] == "bf16"
