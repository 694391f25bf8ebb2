"""The CPU kernels compute what PyTorch computes, to float32 rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from resnet_repro import kernels
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.kernels import winograd
from resnet_repro.kernels.batch_norm import FusedBatchNorm2d, _BatchNormReLU
from resnet_repro.kernels.winograd import WinogradConv2d, _Convolution
from resnet_repro.models import build
from resnet_repro.models.blocks import norm_relu
from resnet_repro.records import store
from resnet_repro.train.device import choose
from resnet_repro.train.loop import Watch, train
from tests.training_jobs import smoke_job

built = pytest.mark.skipif(not kernels.available(), reason="the kernels are not built here")

eights = st.integers(1, 5).map(lambda n: 8 * n)
shapes = st.tuples(st.integers(1, 5), eights, eights, st.integers(1, 13), st.integers(1, 13))


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    value = torch.randn(*shape, generator=generator)
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def away(ours: Tensor | None, exact: Tensor | None) -> float:
    """Largest difference, in units of the exact values' root mean square."""
    assert ours is not None
    assert exact is not None
    rms = exact.double().square().mean().sqrt()
    return float((ours.double() - exact.double()).abs().max() / (rms + 1e-30))


def with_gradients(
    function: Callable[..., Tensor], arguments: list[Tensor], dy: Tensor, dtype: torch.dtype
) -> list[Tensor]:
    """The function's value and its gradients with respect to each argument."""
    leaves = [a.detach().to(dtype).requires_grad_() for a in arguments]
    out = function(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, dy.to(dtype))]


@built
@given(shapes)
def test_the_convolution_and_its_gradients(shape: tuple[int, int, int, int, int]) -> None:
    n, c, k, h, w = shape

    def by_definition(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=1)

    arguments = [randn(n, c, h, w), randn(k, c, 3, 3, seed=1)]
    dy = randn(n, k, h, w, seed=2)
    for got, exact in zip(
        with_gradients(_Convolution.apply, arguments, dy, torch.float32),
        with_gradients(by_definition, arguments, dy, torch.float64),
        strict=True,
    ):
        assert got.shape == exact.shape
        assert away(got, exact) < 1e-4


@built
@given(shapes, st.booleans(), st.floats(-100, 100))
def test_batch_norm_with_relu_and_its_gradients(
    shape: tuple[int, int, int, int, int], residual: bool, level: float
) -> None:
    n, c, _, h, w = shape
    n += 1  # one value a channel has no variance
    arguments = [randn(n, c, h, w) + level, 1 + 0.1 * randn(c, seed=1), randn(c, seed=2)]
    arguments += [randn(n, c, h, w, seed=3)] if residual else []

    def sums(x: Tensor, gamma: Tensor, beta: Tensor, *more: Tensor) -> Tensor:
        return sum(more, F.batch_norm(x, None, None, gamma, beta, training=True))

    def by_definition(*arguments: Tensor) -> Tensor:
        return F.relu(sums(*arguments))

    def by_kernel(x: Tensor, gamma: Tensor, beta: Tensor, *more: Tensor) -> Tensor:
        out: Tensor = _BatchNormReLU.apply(x, gamma, beta, *(more or (None,)), 1e-5)[0]
        return out

    # No gradient comes from where rounding decides whether ReLU lets it through.
    clear = sums(*(a.double() for a in arguments)).abs() > 1e-3
    dy = randn(n, c, h, w, seed=4) * clear
    for got, exact in zip(
        with_gradients(by_kernel, arguments, dy, torch.float32),
        with_gradients(by_definition, arguments, dy, torch.float64),
        strict=True,
    ):
        assert got.shape == exact.shape
        assert away(got, exact) < 1e-3


@built
def test_moving_averages_are_batch_norms() -> None:
    ours, theirs = FusedBatchNorm2d(8), nn.BatchNorm2d(8)
    for step in range(3):
        x = 5 + 2 * randn(4, 8, 6, 6, seed=step)
        norm_relu(ours, nn.ReLU(), x)
        theirs(x)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)


@built
def test_the_result_does_not_change_from_call_to_call() -> None:
    x, weight = randn(16, 16, 32, 32), randn(16, 16, 3, 3, seed=1)
    once, again = (
        with_gradients(
            lambda x, w: norm_relu(FusedBatchNorm2d(16), nn.ReLU(), _Convolution.apply(x, w), x),
            [x, weight],
            torch.ones_like(x),
            torch.float32,
        )
        for _ in range(2)
    )
    for a, b in zip(once, again, strict=True):
        assert torch.equal(a, b)


@built
@pytest.mark.parametrize("network", ["resnet20", "plain8", "resnet14-B", "resnet8-w8"])
def test_a_networks_step(network: str) -> None:
    """The gradients of one step are float64's, but for a few ReLUs that rounding switches."""
    x, labels = randn(16, 3, 32, 32), torch.arange(16) % 10

    def gradients(model: nn.Module) -> dict[str, Tensor]:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        dtype = next(model.parameters()).dtype
        F.cross_entropy(model(x.to(dtype)), labels).backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    fast = build(network)
    kernels.use_kernels(fast)
    assert {type(m) for m in fast.modules()} >= {WinogradConv2d, FusedBatchNorm2d}
    exact, ours = gradients(build(network).double()), gradients(fast)
    assert ours.keys() == exact.keys()
    for name, value in exact.items():
        assert (ours[name] - value).norm() < 0.03 * value.norm(), name


@built
def test_what_the_kernels_do_not_touch() -> None:
    model, plain = build("resnet14").eval(), build("resnet14").eval()
    kernels.use_kernels(model)
    assert list(model.state_dict()) == list(plain.state_dict())
    x = randn(4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x), plain(x), rtol=1e-4, atol=1e-4)
        assert torch.equal(model.double()(x.double()), plain.double()(x.double()))


def test_odd_and_many_channels_strides_and_biases_are_left_to_pytorch() -> None:
    odd = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(16, 16, 3, bias=False),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.Conv2d(16, 16, 3, padding=1, groups=2, bias=False),
        nn.Conv2d(16, 16, 5, padding=2, bias=False),
        nn.Conv2d(winograd.WIDEST + 8, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, winograd.WIDEST + 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
    )
    before = [type(m) for m in odd]
    kernels.use_kernels(odd)
    assert [type(m) for m in odd] == before
    wide = nn.Sequential(
        nn.Conv2d(8, winograd.WIDEST, 3, padding=1, bias=False),
        nn.Conv2d(winograd.WIDEST, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(512),
    )
    kernels.use_kernels(wide)
    assert [type(m) for m in wide] == [WinogradConv2d, WinogradConv2d, FusedBatchNorm2d]


@built
def test_a_run_says_that_it_used_them(tmp_path: Path, tiny_data: Dataset) -> None:
    job = smoke_job(tmp_path, tiny_data, "resnet8")
    job = dataclasses.replace(job, device=choose("cpu", "fp32", kernels="on"))
    train(job, tiny_data, Watch())
    assert store.read_record(job.run, job.folder).execution.kernels


def test_kernels_that_cannot_be_had_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="compute in fp32"):
        choose("cpu", "bf16", kernels="on")
    with pytest.raises(UserError, match="unknown setting"):
        choose("cpu", "fp32", kernels="perhaps")
    monkeypatch.setattr(kernels, "available", lambda: False)
    with pytest.raises(UserError, match="not built"):
        choose("cpu", "fp32", kernels="on")
    assert not choose("cpu", "fp32").kernels
