"""Lesions and input gradients: what a network without a block computes, and what noise is like."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from resnet_repro.errors import UserError
from resnet_repro.evaluate.probes import shattering
from resnet_repro.evaluate.probes.lesions import (
    Lesions,
    blocks_of,
    bypass,
    delete_each,
    delete_several,
    error,
    keeps_shape,
    lesions,
    replaced,
    swap_each,
    without,
)
from resnet_repro.models import build

NETWORKS = ("plain20-w4", "resnet20-w4", "resnet20-B-w4")


@pytest.fixture(scope="module", autouse=True)
def _small(_one_thread: Iterator[None]) -> None:
    """Everything here is small."""


def network(name: str = "resnet20-w4", seed: int = 0) -> nn.Module:
    """In eval mode, with statistics that are not those of the identity."""
    model = build(name, in_channels=1, seed=seed)
    return shattering.calibrated(model, images(32))


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def batches(model: nn.Module, count: int = 40) -> list[tuple[Tensor, Tensor]]:
    """Images with the labels that the network itself gives: whole, it makes no error."""
    x = images(count, seed=1)
    with torch.no_grad():
        return [(part, model(part).argmax(1)) for part in x.split(16)]


# Lesions


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_come_in_order_and_two_change_the_size(name: str) -> None:
    blocks = blocks_of(network(name))
    assert list(blocks) == [f"layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1, 2)]
    assert [n for n, b in blocks.items() if not keeps_shape(b)] == ["layer2.0", "layer3.0"]


def test_a_network_without_blocks_has_none_to_lose() -> None:
    with pytest.raises(UserError, match="without blocks"):
        blocks_of(nn.Linear(2, 2))
    with pytest.raises(UserError, match=r"no block 'layer9\.0': give some of layer1\.0"):
        without(network(), ["layer9.0"])


@pytest.mark.parametrize("name", ["resnet20-w4", "resnet20-B-w4"])
def test_a_deleted_residual_block_is_one_whose_function_is_zero(name: str) -> None:
    """F(x) = 0 where its last batch normalisation scales and shifts by nothing."""
    x = images(4)
    for block in blocks_of(network(name)):
        model = network(name)
        with torch.no_grad():
            with without(model, [block]):
                bypassed = model(x)
            last = model.get_submodule(f"{block}.bn2")
            assert isinstance(last, nn.BatchNorm2d)
            last.weight.zero_()
            last.bias.zero_()
            torch.testing.assert_close(bypassed, model(x))


def test_a_deleted_plain_block_hands_on_what_came() -> None:
    model = network("plain20-w4")
    blocks = blocks_of(model)
    x = images(2).expand(-1, 4, -1, -1)
    assert torch.equal(bypass(blocks["layer1.1"])(x), x)
    made = bypass(blocks["layer2.0"])(x)
    assert made.shape == (2, 8, 8, 8)
    assert torch.equal(made[:, :4], x[:, :, ::2, ::2])
    assert made[:, 4:].abs().max() == 0


def test_bottlenecks_can_be_deleted() -> None:
    model = build("resnet50", num_classes=3).eval()
    with torch.no_grad(), without(model, ["layer1.0", "layer2.0", "layer4.2"]):
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_the_network_is_whole_afterwards() -> None:
    model = network().train()
    before, own = {k: v.clone() for k, v in model.state_dict().items()}, dict(model.named_modules())
    lesions(model, batches(network()), draws=1)
    assert model.training
    assert dict(model.named_modules()) == own
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(ZeroDivisionError), without(model, ["layer1.0"]):
        raise ZeroDivisionError
    assert dict(model.named_modules()) == own


def test_errors_are_counted() -> None:
    model = network()
    told = batches(model)
    assert error(model, told) == 0.0
    wrong = [(x, (labels + (torch.arange(len(x)) < 4)) % 10) for x, labels in told]
    assert error(model, wrong) == pytest.approx(100 * 12 / 40)


def test_each_lesion_is_measured_as_if_made_by_hand() -> None:
    model = network()
    told = batches(model)
    found = lesions(model, told, draws=2)
    assert found.intact == 0.0
    assert list(found.deleted) == list(blocks_of(model))
    with without(model, ["layer2.1"]):
        assert found.deleted["layer2.1"] == error(model, told) > 0
    pairs = [("1.0", "1.1"), ("1.0", "1.2"), ("1.1", "1.2"), ("2.1", "2.2"), ("3.1", "3.2")]
    assert list(found.swapped) == [(f"layer{a}", f"layer{b}") for a, b in pairs]
    blocks = blocks_of(model)
    a, b = blocks["layer1.0"], blocks["layer1.2"]
    with replaced(model, {"layer1.0": b, "layer1.2": a}):
        assert found.swapped["layer1.0", "layer1.2"] == error(model, told) > 0


def test_several_are_drawn_alike_from_networks_with_the_same_blocks() -> None:
    model = network()
    told = batches(model)
    found = delete_several(model, told, draws=3, seed=5)
    assert [len(found[n]) for n in range(1, 8)] == [3] * 6 + [1]
    assert found == delete_several(model, told, draws=3, seed=5)
    assert found != delete_several(model, told, draws=3, seed=6)
    keeping = [n for n, b in blocks_of(model).items() if keeps_shape(b)]
    with without(model, keeping):
        assert found[7] == [error(model, told)]
    singles = delete_each(model, told)
    assert set(found[1]) <= {singles[name] for name in keeping}
    with pytest.raises(UserError, match="0 draws"):
        delete_several(model, told, draws=0)


def test_equal_blocks_can_be_swapped_without_harm() -> None:
    model = network()
    same = blocks_of(model)["layer1.0"].state_dict()
    for name in ("layer1.1", "layer1.2"):
        model.get_submodule(name).load_state_dict(same)
    found = swap_each(model, batches(model))
    assert [found[pair] for pair in found if pair[0].startswith("layer1")] == [0.0] * 3


# Gradients


def test_rises_are_means_above_the_whole_networks_error() -> None:
    found = Lesions(3.0, {"a": 10.0, "b": 20.0}, {1: [5.0]}, {("a", "b"): 4.0})
    assert (found.deletion_rise, found.swap_rise) == (12.0, 1.0)
    assert math.isnan(Lesions(3.0, {"a": 10.0}, {1: [5.0]}, {}).swap_rise)


def test_norms_are_those_that_autograd_leaves() -> None:
    model = build("resnet8-w4", in_channels=1).train()
    x, labels = images(8), torch.arange(8)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = shattering.layer_norms(model, x, labels)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    nn.functional.cross_entropy(model(x), labels).backward()
    assert next(iter(found)) == "conv1"
    assert list(found)[-1] == "fc"
    assert len(found) == 8
    for name, norm in found.items():
        weight = model.get_submodule(name).weight
        assert isinstance(weight, Tensor)
        assert weight.grad is not None
        assert norm == pytest.approx(float(weight.grad.norm()), rel=1e-5)
    moving = shattering.layer_norms(model, x, labels, "moving")
    assert moving["conv1"] != pytest.approx(found["conv1"], rel=1e-3)


def test_a_calibrated_copy_answers_as_the_batch_did() -> None:
    model = build("plain8-w4", in_channels=1).train()
    x = images(64)
    own = shattering.calibrated(model, x)
    assert not own.training
    assert model.training
    first = own.get_submodule("bn1")
    assert isinstance(first, nn.BatchNorm2d)
    made = own.get_submodule("conv1")(x)
    torch.testing.assert_close(first.running_mean, made.mean((0, 2, 3)))
    torch.testing.assert_close(first.running_var, made.transpose(0, 1).flatten(1).var(1))


@given(points=st.integers(4, 40), seed=st.integers(0, 9))
def test_a_circle_is_one(points: int, seed: int) -> None:
    a, b = images(2, seed)
    made = shattering.circle(a, b, points)
    assert torch.equal(made[0], a)
    steps = (made - made.roll(-2, 0)).flatten(1)
    if points % 4 == 0:
        torch.testing.assert_close(made[points // 4], b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made.sum(0), torch.zeros_like(a), atol=1e-4, rtol=0)
    assert steps.shape[0] == points


@given(st.integers(4, 30), st.integers(0, 100), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_correlation_is_one_at_home_and_blind_to_scale(
    points: int, seed: int, scale: float, shift: float
) -> None:
    rows = torch.randn(points, 3, generator=torch.Generator().manual_seed(seed))
    lags = range(points + 1)
    found = shattering.autocorrelation(rows, lags)
    assert found[0] == pytest.approx(1)
    assert found[points] == pytest.approx(1)  # around the circle
    assert all(abs(value) <= 1 + 1e-9 for value in found)
    assert found[1] == pytest.approx(found[points - 1])  # either way
    assert sum(found[:points]) == pytest.approx(0, abs=1e-4)  # the mean was subtracted
    assert shattering.autocorrelation(scale * rows + shift, lags) == pytest.approx(found, abs=1e-3)


def test_a_wave_correlates_as_its_cosine() -> None:
    t = torch.arange(12) * (2 * math.pi / 12)
    found = shattering.autocorrelation(torch.stack([t.cos(), t.sin()], 1), range(12))
    assert found == pytest.approx([math.cos(2 * math.pi * k / 12) for k in range(12)], abs=1e-6)


def test_noise_is_as_it_is_said_to_be() -> None:
    """Against made noise: many columns of 32 independent values, and their running sums."""
    points, lags = 32, range(17)
    steps = torch.randn(points, 20_000, generator=torch.Generator().manual_seed(0))
    white = shattering.autocorrelation(steps, lags)
    assert white == pytest.approx(shattering.white_noise(points, lags), abs=0.01)
    back = steps - steps.mean(0)  # so that the walk returns
    brown = shattering.autocorrelation(back.cumsum(0), lags)
    assert brown == pytest.approx(shattering.brown_noise(points, lags), abs=0.02)


def test_input_gradients_are_those_of_each_input_alone() -> None:
    model = network()
    x = images(3)
    found = shattering.input_gradients(model, x)
    assert list(found) == list(blocks_of(model))
    assert all(g.shape == x.shape for g in found.values())
    alone = shattering.input_gradients(model, x[1:2])
    for name, gradient in found.items():
        torch.testing.assert_close(gradient[1:2], alone[name], atol=1e-5, rtol=1e-4)
    moved = x.clone()
    step = 1e-3 * found["layer3.2"][1] / found["layer3.2"][1].norm()
    moved[1] += step
    # Another input's gradient is untouched by this one's value.
    again = shattering.input_gradients(model, moved)
    torch.testing.assert_close(again["layer3.2"][0], found["layer3.2"][0])


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UserError, match="same everywhere"):
        shattering.autocorrelation(torch.ones(8, 3), [0, 1])
    with pytest.raises(UserError, match="circle of 3 points"):
        shattering.circle(images(1)[0], images(1)[0], 3)
    with pytest.raises(UserError, match="3 images"):
        shattering.shattering(network(), images(3), 8, [0, 1])


def test_plain_nets_shatter_with_depth_and_residual_nets_hold() -> None:
    lags = [0, 1, 2]
    found = {
        name: shattering.shattering(network(name), images(4, seed=3), 64, lags)
        for name in ("plain20-w4", "resnet20-w4", "plain44-w4")
    }
    for rows in found.values():
        assert all(row[0] == pytest.approx(1) for row in rows.values())
    last = {name: rows["layer3.2"][1] for name, rows in found.items() if "44" not in name}
    assert last["resnet20-w4"] > last["plain20-w4"] + 0.2
    assert found["plain44-w4"]["layer3.6"][1] < last["plain20-w4"]
    assert found["plain20-w4"]["layer1.0"][1] > last["plain20-w4"] + 0.2
