"""The learning rate, warm-up, momentum and switches of the recipe."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.errors import UserError
from resnet_repro.models import build
from resnet_repro.train.optimizer import change_rate, make_optimizer
from resnet_repro.train.recipe import (
    PAPER,
    PROTOCOLS,
    Recipe,
    parse_switch,
    protocol_label,
    recipe_for,
    scaled,
)
from resnet_repro.train.warmup import Warmup


@pytest.mark.parametrize(
    ("protocol", "drops", "end", "row"),
    [
        ("paper", (32_000, 48_000), 64_000, 1_000),
        ("quarter", (12_000, 15_000), 16_000, 500),
        ("demo", (337, 505), 674, 22),
        ("smoke", (6, 9), 12, 4),
    ],
)
def test_the_rate_at_every_boundary(
    protocol: str, drops: tuple[int, int], end: int, row: int
) -> None:
    recipe = recipe_for(protocol, "resnet20")
    assert (recipe.iterations, recipe.row_every) == (end, row)
    first, second = drops
    expected = {0: 0.1, first - 1: 0.1, first: 0.01, second - 1: 0.01, second: 0.001, end: 0.001}
    assert {i: recipe.learning_rate(i) for i in expected} == expected


def test_every_protocol_is_tested_above() -> None:
    assert set(PROTOCOLS) == {"paper", "quarter", "demo", "smoke"}


def test_the_paper_recipe_is_164_epochs_of_50000_images_at_128() -> None:
    # A well-known slip is to call 200 epochs 64k iterations.
    assert 163 < PAPER.iterations * PAPER.batch_size / 50_000 < 164


@pytest.mark.parametrize("network", ["resnet20", "plain56", "resnet110"])
@pytest.mark.parametrize("protocol", ["paper", "quarter"])
def test_every_cifar10_net_warms_up(protocol: str, network: str) -> None:
    recipe = recipe_for(protocol, network)
    assert recipe.learning_rate(0, warming=True) == 0.01
    # The schedule counts from iteration 0, warm-up included.
    assert recipe.learning_rate(recipe.drops[0]) == 0.01
    assert recipe_for(protocol, network, changes={"warmup_lr": "0"}).warmup_lr == 0.0


def test_imagenets_nets_do_not_warm_up() -> None:
    assert recipe_for("paper", "resnet152").warmup_lr == 0.0


def test_the_first_editions_protocol_is_offered_to_nobody() -> None:
    with pytest.raises(UserError, match=r"unknown protocol 'short'.*paper, quarter"):
        recipe_for("short", "resnet20")
    with pytest.raises(UserError, match="unknown protocol 'short'"):
        recipe_for("short", "resnet34-A")


def warm(
    errors: list[float], window: int, threshold: float = 80.0, length: int = 0
) -> tuple[list[float], int]:
    """The rate of each update, and the first at the full rate, after batches of these errors."""
    recipe = dataclasses.replace(
        PAPER, warmup_lr=0.01, warmup_window=window, warmup_error=threshold,
        warmup_iterations=length, batch_size=1000,
    )  # fmt: skip
    warmup = Warmup(recipe, torch.device("cpu"), torch.float64)
    full = torch.tensor(recipe.learning_rate(0), dtype=torch.float64)
    rates = []
    for iteration, error in enumerate(errors):
        rates.append(warmup.rate(full).item())
        warmup.note(torch.tensor(iteration), torch.tensor(round(error * 10)))
    assert warmup.cold.item() == (warmup.ended == 0)
    return rates, int(warmup.ended)


def test_warmup_ends_when_the_mean_error_of_the_window_is_low() -> None:
    # Windows of three: 85.0, 81.6, 79.97 (after iteration 4), so iteration 5 is the first at 0.1.
    rates, ended = warm([90.0, 85.0, 80.0, 79.9, 80.0, 80.0, 60.0], window=3)
    assert rates == [0.01] * 5 + [0.1] * 2
    assert ended == 5


@given(st.integers(1, 8), st.lists(st.sampled_from([0.0, 50.0, 100.0]), min_size=9, max_size=9))
def test_a_warmup_of_fixed_length_heeds_no_error(length: int, errors: list[float]) -> None:
    rates, ended = warm(errors, window=3, length=length)
    assert rates == [0.01] * length + [0.1] * (9 - length)
    assert ended == length


def test_warmup_does_not_begin_again() -> None:
    rates, ended = warm([90.0, 70.0, 95.0, 95.0, 70.0, 70.0], window=1)
    assert rates == [0.01, 0.01, 0.1, 0.1, 0.1, 0.1]
    assert ended == 2


def test_warmup_needs_a_full_window() -> None:
    assert warm([10.0] * 99, window=100)[1] == 0
    assert warm([10.0] * 101, window=100)[1] == 100


def test_the_error_must_be_below_the_threshold_and_not_at_it() -> None:
    assert warm([80.0] * 5, window=2)[1] == 0
    assert warm([80.0, 80.0, 79.9], window=2)[1] == 3


def test_momentum_across_a_rate_change_is_caffes() -> None:
    """v <- mu v + lr (g + wd w), w <- w - v, written out in float64."""
    recipe = Recipe(lr=0.1, drops=(3, 5), momentum=0.9, weight_decay=1e-2, warmup_lr=0.01)
    layer = torch.nn.Linear(4, 3).double()
    gradients = [torch.randn_like(layer.weight) for _ in range(7)]
    weight, velocity = layer.weight.detach().clone(), torch.zeros_like(layer.weight)
    before = recipe.learning_rate(0, warming=True)
    optimizer = make_optimizer(layer, recipe, before)
    for iteration, gradient in enumerate(gradients):
        lr = recipe.learning_rate(iteration, warming=iteration < 2)  # up once, down twice
        change_rate(optimizer, before, lr, recipe)
        before = lr
        layer.weight.grad = gradient.clone()
        layer.bias.grad = torch.zeros_like(layer.bias)
        optimizer.step()
        velocity = 0.9 * velocity + lr * (gradient + 1e-2 * weight)
        weight = weight - velocity
        torch.testing.assert_close(layer.weight.detach(), weight, rtol=1e-12, atol=1e-12)


def test_pytorchs_momentum_differs_after_a_rate_change_and_only_then() -> None:
    """PyTorch's form keeps the buffer, so Caffe's velocity would shrink tenfold at a drop."""
    ends = {}
    for form in ("caffe", "pytorch"):
        recipe = Recipe(drops=(3,), momentum_form=form, weight_decay=0.0)
        layer = torch.nn.Linear(2, 1, bias=False).double()
        torch.nn.init.zeros_(layer.weight)
        optimizer = make_optimizer(layer, recipe, 0.1)
        path = []
        for iteration in range(5):
            old, new = (recipe.learning_rate(i) for i in (max(0, iteration - 1), iteration))
            change_rate(optimizer, old, new, recipe)
            layer.weight.grad = torch.ones_like(layer.weight)
            optimizer.step()
            path.append(layer.weight[0, 0].item())
        ends[form] = path
    assert ends["caffe"][:3] == ends["pytorch"][:3]
    # After two full steps v = 0.1 (1 + 0.9 + 0.81) = 0.271; at the drop v = 0.9 v + 0.01.
    assert ends["caffe"][2] - ends["caffe"][3] == pytest.approx(0.9 * 0.271 + 0.01)
    assert ends["pytorch"][2] - ends["pytorch"][3] == pytest.approx(0.01 * (0.9 * 2.71 + 1))


def test_weight_decay_spares_bn_and_biases_only_when_asked() -> None:
    model = build("resnet8")
    everything = make_optimizer(model, Recipe(), 0.1).param_groups
    assert [group["weight_decay"] for group in everything] == [1e-4]
    assert len(everything[0]["params"]) == len(list(model.parameters()))
    spared = make_optimizer(model, Recipe(weight_decay_on="weights"), 0.1).param_groups
    assert [group["weight_decay"] for group in spared] == [1e-4, 0.0]
    assert all(p.ndim == 1 for p in spared[1]["params"])
    assert sum(len(group["params"]) for group in spared) == len(list(model.parameters()))


@given(st.integers(1, 200_000))
def test_scaling_keeps_the_drops_in_proportion(iterations: int) -> None:
    recipe = scaled(PAPER, iterations)
    assert recipe.iterations == iterations
    assert recipe.drops == (round(iterations / 2), round(iterations * 3 / 4))
    assert recipe.row_every >= 1
    assert -(-iterations // recipe.row_every) <= 32


def test_custom_iterations_are_named_so() -> None:
    assert protocol_label("paper") == "paper"
    assert protocol_label("paper", 400) == "custom-400"
    assert protocol_label("quarter", None, {"bn_batch": "64", "mean": "channel"}) == (
        "quarter+bn_batch=64+mean=channel"
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("bn_batch", "64", 64),
        ("lr", "0.05", 0.05),
        ("flip", "false", False),
        ("drops", "10,20", (10, 20)),
        ("momentum_form", "nesterov", "nesterov"),
        ("warmup_lr", "0", 0.0),
    ],
)
def test_switches_are_read(name: str, text: str, value: object) -> None:
    assert parse_switch(name, text) == value
    assert getattr(recipe_for("paper", "resnet20", changes={name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("colour", "1", "unknown switch"),
        ("bn_batch", "many", "a whole number"),
        ("bn_batch", "0", "positive"),
        ("lr", "-1", "positive"),
        ("lr", "inf", "a number"),
        ("lr", "nan", "a number"),
        ("flip", "yes", "true or false"),
        ("drops", "a,b", "whole numbers"),
        ("init", "xavier", "fan_out, fan_in"),
    ],
)
def test_bad_switches_say_what_would_be_right(name: str, text: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse_switch(name, text)
    assert "\n" not in str(caught.value)


def test_unknown_protocol_and_length_are_refused() -> None:
    with pytest.raises(UserError, match="unknown protocol 'fast' for resnet20: give one of paper"):
        recipe_for("fast", "resnet20")
    with pytest.raises(UserError, match="at least 1"):
        recipe_for("paper", "resnet20", iterations=0)
    with pytest.raises(UserError, match="needs a momentum above 0"):
        recipe_for("paper", "resnet20", changes={"momentum": "0", "momentum_form": "nesterov"})
