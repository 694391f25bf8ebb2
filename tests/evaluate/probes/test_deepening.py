"""A net deepened by identities computes the same, and the solution is the deeper net's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes.deepening import (
    deepen,
    ends,
    identity_block,
    relative_change,
    stages,
)
from resnet_repro.evaluate.single_view import single_view_error
from resnet_repro.models import build
from resnet_repro.models.blocks import Shortcut
from resnet_repro.notebook.training import train_on_digits, training_error

pytestmark = pytest.mark.usefixtures("_one_thread")

PREFIXES = {
    "plain": "plain{}-w{}",
    "A": "resnet{}-w{}",
    "B": "resnet{}-B-w{}",
    "C": "resnet{}-C-w{}",
}


def as_if_trained(name: str, in_channels: int = 1, seed: int = 0) -> nn.Module:
    """A net whose batch normalisations are no identity any more, in double precision."""
    model = build(name, in_channels=in_channels, num_classes=10, seed=seed).double().eval()
    chance = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert isinstance(module.running_mean, torch.Tensor)
            assert isinstance(module.running_var, torch.Tensor)
            module.running_mean.normal_(0, 0.3, generator=chance)
            module.running_var.uniform_(0.5, 2, generator=chance)
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=chance)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=chance)
    return model


def logits(model: nn.Module, size: int = 8, channels: int = 1) -> torch.Tensor:
    x = torch.randn(
        (3, channels, size, size), dtype=torch.float64, generator=torch.Generator().manual_seed(7)
    )
    with torch.no_grad():
        return model(x)  # type: ignore[no-any-return]


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, list[int]]]:
    blocks = draw(st.integers(1, 3))
    kind, width = draw(st.sampled_from(sorted(PREFIXES))), draw(st.integers(1, 6))
    names = draw(st.sets(st.sampled_from(["layer1", "layer2", "layer3"]), min_size=1))
    places = st.lists(st.integers(0, blocks - 1), max_size=4)
    return PREFIXES[kind].format(6 * blocks + 2, width), {n: draw(places) for n in sorted(names)}


@settings(max_examples=20)
@given(cases())
def test_wherever_blocks_are_put_the_function_stays(case: tuple[str, dict[str, list[int]]]) -> None:
    name, behind = case
    model = as_if_trained(name)
    deeper = deepen(model, behind)
    counts = {stage: len(blocks) for stage, blocks in stages(deeper).items()}
    before = {stage: len(blocks) for stage, blocks in stages(model).items()}
    assert counts == {n: k + len(behind.get(n, [])) for n, k in before.items()}
    torch.testing.assert_close(logits(deeper), logits(model), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("prefix", PREFIXES.values())
def test_the_solution_lies_in_the_deeper_nets_own_parameters(prefix: str) -> None:
    shallow = as_if_trained(prefix.format(8, 4))
    deeper = deepen(shallow, ends(shallow, 3))
    named = build(prefix.format(26, 4), in_channels=1, num_classes=10, seed=9).double().eval()
    assert not torch.allclose(logits(named), logits(shallow))
    named.load_state_dict(deeper.state_dict())
    torch.testing.assert_close(logits(named), logits(shallow), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["plain18", "resnet18-B"])
def test_imagenet_nets_of_basic_blocks_too(name: str) -> None:
    model = as_if_trained(name, in_channels=3)
    deeper = deepen(model, {"layer2": [0], "layer4": [1, 1]})
    torch.testing.assert_close(logits(deeper, 32, 3), logits(model, 32, 3), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["plain", "resnet"])
def test_a_trained_net_keeps_its_errors(kind: str) -> None:
    trained = train_on_digits(f"{kind}8-w8", iterations=12)
    deeper = deepen(trained.model, ends(trained.model, 4))
    source = trained.trainer.source
    assert single_view_error(deeper, source) == pytest.approx(
        single_view_error(trained.model, source), rel=1e-5
    )
    assert training_error(deeper, trained.source) == trained.training_error
    x = next(iter(source.test_batches()))[0]
    with torch.no_grad():
        torch.testing.assert_close(deeper(x), trained.model(x), rtol=1e-4, atol=1e-4)


def test_the_given_model_is_left_alone() -> None:
    model = as_if_trained("plain8-w4").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    deeper = deepen(model, ends(model, 2))
    with torch.no_grad():
        for parameter in deeper.parameters():
            parameter.zero_()
    assert model.training
    assert not deeper.training
    assert len(stages(model)["layer1"]) == 1
    torch.testing.assert_close(dict(model.state_dict()), before)


def _passed(shortcut: Shortcut, *, training: bool, shift: float = 0.0) -> bool:
    block = identity_block(4, shortcut, dtype=torch.float64).train(training)
    x = torch.rand((2, 4, 5, 5), generator=torch.Generator().manual_seed(1)).double() + shift
    with torch.no_grad():
        return torch.allclose(block(x), x, rtol=1e-10, atol=1e-10)


def test_which_blocks_are_identities_when() -> None:
    assert all(_passed(s, training=False) for s in ("none", "A", "B", "C"))
    # In training mode batch normalisation takes a plain block's scale away, and C's.
    assert [_passed(s, training=True) for s in ("none", "A", "B", "C")] == [
        False,
        True,
        True,
        False,
    ]
    # What is negative does not pass the ReLU.
    assert not any(_passed(s, training=False, shift=-0.5) for s in ("none", "A", "B", "C"))


def test_a_zeroed_residual_block_can_learn() -> None:
    block = identity_block(4, "A").train()
    block(torch.rand(2, 4, 5, 5)).square().sum().backward()
    assert block.bn2.weight.grad is not None
    assert block.bn2.weight.grad.abs().sum() > 0


def test_the_worked_example() -> None:
    plain, residual = relative_change(5, 5.1, 5.2)
    assert plain == pytest.approx(0.1 / 5.1)
    assert residual == pytest.approx(1.0)


@given(st.floats(1, 100), st.floats(0.001, 0.5), st.floats(-0.5, 0.5))
def test_the_residual_moves_by_more_as_long_as_it_is_small(x: float, f: float, d: float) -> None:
    plain, residual = relative_change(x, x + f * x, x + f * x + d)
    assert residual * f == pytest.approx(plain * (1 + f), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("x", "before"), [(5.0, 5.0), (5.0, 0.0)])
def test_nothing_has_no_relative_change(x: float, before: float) -> None:
    with pytest.raises(UserError, match="neither 0 nor the input"):
        relative_change(x, before, 6.0)


def test_bad_places_and_nets_are_refused() -> None:
    model = as_if_trained("resnet8-w4")
    with pytest.raises(UserError, match=r"no stage 'layer4': give some of layer1"):
        deepen(model, {"layer4": [0]})
    with pytest.raises(UserError, match="layer1 has no block 1: give 0 to 0"):
        deepen(model, {"layer1": [1]})
    with pytest.raises(UserError, match="no basic blocks"):
        ends(build("resnet50"), 1)
