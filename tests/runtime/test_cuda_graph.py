"""A step recorded once and replayed: what must hold whatever the device, without one."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.evaluate.single_view import CapturedView
from resnet_repro.runtime.cuda_graph import make_cuda_graph
from resnet_repro.runtime.device import Device, choose
from resnet_repro.train.recipe import PROTOCOLS, Recipe
from resnet_repro.train.trainer import Trainer
from tests.helpers.cuda_stand_in import StandIn, memory, stand_in
from tests.helpers.training_jobs import pixels_of

CPU = choose("cpu", "fp32", kernels="off")
WARM = dataclasses.replace(
    PROTOCOLS["smoke"], warmup_lr=0.01, warmup_window=3, warmup_error=200.0, drops=(5, 9)
)
CHUNKS = dataclasses.replace(WARM, bn_batch=16)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return stand_in(monkeypatch)


def recorded(trainer: Trainer) -> Trainer:
    """The same trainer, its steps as graphs."""
    trainer.device = dataclasses.replace(trainer.device, graph=True)
    return trainer


def new(data: Dataset, recipe: Recipe = CHUNKS, device: Device = CPU) -> Trainer:
    return Trainer("resnet8-w4", data, recipe, 0, device)


def values(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.state()[0].items()}


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, value in theirs.items():
        assert torch.equal(ours[name], value), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("recipe", [PROTOCOLS["smoke"], WARM, CHUNKS])
def test_replayed_steps_are_ordinary_ones_bit_for_bit(
    digits: Dataset, cuda: StandIn, recipe: Recipe, precision: str
) -> None:
    """Over an epoch's end, a drop of the rate and the end of the warm-up; and one recording each
    before that end and after it."""
    device = choose("cpu", precision, kernels="off")
    ordinary, replayed = new(digits, recipe, device), recorded(new(digits, recipe, device))
    figures: list[Any] = [[], []]
    for trainer, found in zip((ordinary, replayed), figures, strict=True):
        for iteration in (*range(8), 44, 45):
            trainer.step(iteration)
            if iteration in (1, 7, 45):
                found += [trainer.pop_train_metrics(8), trainer.rate(iteration + 1)]
                found += [trainer.gradient_norms(), trainer.warmup_ended]
    assert figures[0] == figures[1]
    assert_equal(values(replayed), values(ordinary))
    assert len(cuda.graphs) == (2 if recipe.warmup_lr else 1)


def test_recording_changes_nothing(digits: Dataset, cuda: StandIn) -> None:
    trainer = recorded(new(digits))
    before = values(trainer)
    trainer.source.prepare(0)
    make_cuda_graph(trainer._compute, trainer._tensors().values())
    assert len(cuda.graphs) == 1
    assert_equal(values(trainer), before)


def test_a_recording_that_fails_leaves_the_state_and_says_what_to_do(
    digits: Dataset, cuda: StandIn
) -> None:
    trainer = recorded(new(digits))
    before = values(trainer)
    cuda.forbidden = "sgd"
    with pytest.raises(UserError, match=r"not permitted when stream is capturing.*--graph off"):
        trainer.step(0)
    assert_equal(values(trainer), before)


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_call_before_the_recording_that_fails_leaves_the_state(
    digits: Dataset, cuda: StandIn, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    trainer = recorded(new(digits))
    before = values(trainer)
    compute, left = trainer._compute, [2]

    def fails() -> None:
        compute()
        left[0] -= 1
        if not left[0]:
            raise error

    monkeypatch.setattr(trainer, "_compute", fails)
    with pytest.raises(type(error)):
        trainer.step(0)
    assert_equal(values(trainer), before)
    assert not cuda.graphs


@pytest.mark.parametrize("statistics", ["averaged", "moving"])
def test_every_tensor_that_a_step_changes_is_named(
    digits: Dataset, cuda: StandIn, statistics: Literal["averaged", "moving"]
) -> None:
    """Else the calls before a recording would leave their traces in it."""
    recipe = dataclasses.replace(CHUNKS, bn_statistics=statistics)
    trainer = recorded(new(digits, recipe))
    trainer.step(0)
    graph = cuda.graphs[0]
    named = {memory(tensor) for tensor in trainer._tensors().values()}
    trainer.iteration.fill_(1)
    values = {place: whole.clone() for place, (whole, _) in graph.before.items()}
    graph.replay()
    changed = {p for p, (whole, _) in graph.before.items() if not torch.equal(whole, values[p])}
    assert len(changed) > len(list(trainer.model.parameters()))
    assert changed <= named


def test_a_captured_test_is_an_ordinary_one(digits: Dataset, cuda: StandIn) -> None:
    trainer = new(digits)
    ordinary = trainer.test()
    trainer._view = CapturedView(trainer.model, pixels_of(trainer), make_cuda_graph, batch=100)
    for _ in range(2):
        found = dataclasses.astuple(trainer.test())
        assert found == pytest.approx(dataclasses.astuple(ordinary), rel=1e-5)
    assert len(cuda.graphs) == 1
