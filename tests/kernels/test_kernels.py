"""The CPU kernels compute what the definitions say, to rounding."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from resnet_repro import kernels
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError
from resnet_repro.kernels import library, winograd
from resnet_repro.kernels.batch_norm import batch_norm_relu, supports
from resnet_repro.kernels.winograd import WinogradConv2d, _Convolution
from resnet_repro.models import build
from resnet_repro.records import store
from resnet_repro.runtime.device import choose
from resnet_repro.train.loop import Watch, train
from resnet_repro.train.recipe import PROTOCOLS
from resnet_repro.train.trainer import Trainer
from tests.helpers.training_jobs import smoke_job

built = pytest.mark.skipif(not kernels.available(), reason="the kernels are not built here")

# Tests that name an instruction set run for each that there are kernels for.
each_set = pytest.mark.parametrize(
    "instructions",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                name not in library.instruction_sets(), reason=f"no kernels for {name} here"
            ),
        )
        for name in library.INSTRUCTION_SETS
    ],
)

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


def check_convolution(
    shape: tuple[int, int, int, int, int], dtype: torch.dtype, instructions: str, threads: int
) -> None:
    """By the definition in float64: off by 1e-4 of the values' size, and bf16's rounding of maps.

    The weights and their gradient are float32 whatever the maps are.
    """
    n, c, k, h, w = shape
    x, weight = randn(n, c, h, w).to(dtype), randn(k, c, 3, 3, seed=1)
    dy = randn(n, k, h, w, seed=2).to(dtype)

    def by_definition(x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, padding=1)

    leaves = [x.requires_grad_(), weight.requires_grad_()]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with library.computing_with(instructions):
            out = _Convolution.apply(*leaves)  # type: ignore[no-untyped-call, unused-ignore]
            ours = [out.detach(), *torch.autograd.grad(out, leaves, dy)]
    finally:
        torch.set_num_threads(before)
    exact = with_gradients(by_definition, leaves, dy, torch.float64)
    for got, value, kind in zip(ours, exact, (dtype, dtype, torch.float32), strict=True):
        assert got.shape == value.shape
        assert got.dtype == kind
        assert got.is_contiguous(memory_format=torch.channels_last)
        stored = 0 if kind == torch.float32 else ROUNDING[kind]
        rms = value.square().mean().sqrt()
        assert ((got.double() - value).abs() <= 1e-4 * rms + stored * value.abs()).all()


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(shapes)
def test_the_convolution_and_its_gradients(
    instructions: str, dtype: torch.dtype, shape: tuple[int, int, int, int, int]
) -> None:
    check_convolution(shape, dtype, instructions, 1)


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (33, 31)])
@pytest.mark.parametrize("channels", [8, 16, 24, 32, 64])
def test_the_convolution_at_many_channels_and_sizes(
    channels: int, size: tuple[int, int], dtype: torch.dtype, instructions: str
) -> None:
    for out, threads in itertools.product((channels, 16, 40), (1, 2)):
        check_convolution((3, channels, out, *size), dtype, instructions, threads)


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_convolution_hides_nothing_that_is_not_finite(
    value: float, dtype: torch.dtype, instructions: str
) -> None:
    x, weight = randn(3, 16, 9, 9).to(dtype), randn(16, 16, 3, 3, seed=1)
    x[1, 5, 4, 4] = value
    leaves = [x.requires_grad_(), weight.requires_grad_()]
    with library.computing_with(instructions):
        out = _Convolution.apply(*leaves)  # type: ignore[no-untyped-call, unused-ignore]
        _, dweight = torch.autograd.grad(out, leaves, torch.ones_like(out))
    assert not out[1, :, 3:6, 3:6].isfinite().any()
    assert out[0::2].isfinite().all()
    assert not dweight[:, 5].isfinite().any()


@built
@torch.no_grad()
def test_under_autocast_maps_are_bf16_and_weights_are_not() -> None:
    convolution = WinogradConv2d(16, 16, 3, padding=1, bias=False)
    x = randn(2, 16, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = convolution(x)
        assert torch.equal(ours, convolution(x.bfloat16()))
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, convolution(x.bfloat16().float()).bfloat16())
    with pytest.raises(RuntimeError, match="BFloat16"):  # as PyTorch's, without autocast
        convolution(x.bfloat16())
    with torch.autocast("cpu", dtype=torch.float16):
        assert convolution(x).dtype == torch.float16


# Unit roundoffs, and the terms of the longest sum that is taken in float32 before it goes on in
# double: a block's 512 rows of 8 channels, in 4 sums, and a few roundings around it.
ROUNDING = {torch.float32: 2.0**-24, torch.bfloat16: 2.0**-8}
TERMS = 160
EPS = 1e-5


@dataclasses.dataclass
class Pass:
    """A pass of the operation forward and backward: its arguments, and what comes of them."""

    x: Tensor
    weight: Tensor
    bias: Tensor
    residual: Tensor | None
    dy: Tensor
    chunk: int

    def by_kernel(self, instructions: str, threads: int = 1) -> dict[str, Tensor]:
        leaves = {
            "dx": self.x.detach().requires_grad_(),
            "dweight": self.weight.detach().requires_grad_(),
            "dbias": self.bias.detach().requires_grad_(),
        }
        x, weight, bias = leaves.values()
        residual = None
        if self.residual is not None:
            residual = leaves["dresidual"] = self.residual.detach().requires_grad_()
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with library.computing_with(instructions):
                out, means, variances = batch_norm_relu(x, weight, bias, residual, EPS, self.chunk)
                gradients = torch.autograd.grad(out, list(leaves.values()), self.dy)
        finally:
            torch.set_num_threads(before)
        assert not means.requires_grad
        assert not variances.requires_grad
        named = {"out": out.detach(), "means": means, "variances": variances}
        return named | dict(zip(leaves, gradients, strict=True))

    def exact(self) -> dict[str, tuple[Tensor, Tensor]]:
        """By the definition in float64, each result with how far rounding may take it.

        A value of size a that went through k operations in float32 may be k a 2^-24 off, and one
        that is stored in bf16 a 2^-8 more. A mean of many standard deviations is itself stored
        with a rounding that is large next to these; `far` is that, in standard deviations.
        Where rounding decides whether ReLU lets the signal through no gradient comes in: this
        sets those places of dy to 0.
        """
        unit, stored = ROUNDING[torch.float32], ROUNDING[self.x.dtype]
        stored = 0 if self.x.dtype == torch.float32 else stored

        def chunks(a: Tensor) -> Tensor:
            return a.double().reshape(-1, self.chunk, *a.shape[1:])

        def total(a: Tensor) -> Tensor:
            return torch.sum(a, (1, 3, 4), keepdim=True)

        def each(a: Tensor) -> Tensor:
            return a.double()[:, None, None]

        x = chunks(self.x)
        count = x[0].numel() / len(self.weight)
        mean = total(x) / count
        variance = total((x - mean).square()) / count
        std = (variance + EPS).sqrt()
        far = mean.abs() / std
        normal, gamma = (x - mean) / std, each(self.weight)
        residual = torch.zeros_like(x) if self.residual is None else chunks(self.residual)
        y = normal * gamma + each(self.bias) + residual
        sizes = 3 * (each(self.bias).abs() + residual.abs() + y.abs())
        y_off = unit * (gamma.abs() * (TERMS * (1 + normal.abs()) + 3 * far) + sizes)

        self.dy = self.dy * (y.abs() > y_off).flatten(0, 1)
        g = chunks(self.dy) * (y > 0)
        plain, weighted = total(g), total(g * normal)
        dx = gamma / std * (g - plain / count - normal * weighted / count)
        plain_size, weighted_size = total(g.abs()), total((g * normal).abs())
        dx_off = (unit * gamma.abs() / std) * (
            3 * TERMS * (g.abs() + (plain_size + normal.abs() * weighted_size) / count)
            + 2 * far * (plain_size * (1 + normal.abs()) + weighted_size) / count
        )
        dweight_off = unit * (2 * TERMS * weighted_size + 2 * far * plain_size)
        results = {
            "out": (y.relu().flatten(0, 1), (y_off + stored * y.abs()).flatten(0, 1)),
            "means": (mean.flatten(1), (unit * (mean.abs() + TERMS * std)).flatten(1)),
            "variances": (variance.flatten(1), (2 * TERMS * unit * std.square()).flatten(1)),
            "dx": (dx.flatten(0, 1), (dx_off + stored * dx.abs()).flatten(0, 1)),
            "dweight": (weighted.sum(0).flatten(), dweight_off.sum(0).flatten()),
            "dbias": (plain.sum(0).flatten(), TERMS * unit * plain_size.sum(0).flatten()),
        }
        if self.residual is not None:
            results["dresidual"] = (g.flatten(0, 1), torch.zeros_like(self.x).double())
        return results

    def check(self, instructions: str, threads: int) -> None:
        exact = self.exact()
        ours = self.by_kernel(instructions, threads)
        assert ours.keys() == exact.keys()
        for name, (value, off) in exact.items():
            got = ours[name]
            assert got.shape == value.shape, name
            assert got.dtype == (torch.float32 if got.ndim < 4 else self.x.dtype), name
            worst = float(((got.double() - value).abs() - off).max())
            assert worst <= 1e-30, (name, worst)
        assert ours["out"].is_contiguous(memory_format=torch.channels_last)


def make_pass(
    n: int,
    channels: int,
    size: tuple[int, int],
    chunk: int,
    dtype: torch.dtype = torch.float32,
    *,
    residual: bool = True,
    level: float = 0.0,
) -> Pass:
    shape = (n, channels, *size)
    return Pass(
        (randn(*shape) + level).to(dtype),
        1 + 0.3 * randn(channels, seed=1),
        randn(channels, seed=2),
        randn(*shape, seed=3).to(dtype) if residual else None,
        randn(*shape, seed=4).to(dtype),
        chunk,
    )


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(7, 5), (1, 1), (33, 31)])
@pytest.mark.parametrize("channels", [8, 16, 24, 32, 64, 128])
def test_batch_norm_by_its_definition(
    channels: int, size: tuple[int, int], dtype: torch.dtype, instructions: str
) -> None:
    for chunk, residual, threads in itertools.product((1, 2, 4), (True, False), (1, 2)):
        case = make_pass(4, channels, size, chunk, dtype, residual=residual)
        case.check(instructions, threads)


@built
@given(st.data())
def test_batch_norm_in_any_layout(data: st.DataObject) -> None:
    n, channels = data.draw(st.integers(1, 12)), data.draw(eights)
    size = data.draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    chunk = data.draw(st.sampled_from([k for k in range(1, n + 1) if n % k == 0]))
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    case = make_pass(n, channels, size, chunk, dtype, residual=data.draw(st.booleans()), level=2.0)
    layouts: list[Callable[[Tensor], Tensor]] = [
        lambda a: a,
        lambda a: a.contiguous(),
        lambda a: a.transpose(2, 3).contiguous().transpose(2, 3),
        lambda a: a.repeat_interleave(2, 1)[:, ::2],
        lambda a: torch.cat([a, a])[n:],
    ]
    layout = st.sampled_from(layouts)
    case.x, case.dy = data.draw(layout)(case.x), data.draw(layout)(case.dy)
    if case.residual is not None:
        case.residual = data.draw(layout)(case.residual)
    instructions = data.draw(st.sampled_from(library.instruction_sets()))
    case.check(instructions, data.draw(st.integers(1, 3)))


@each_set
@pytest.mark.parametrize("level", [1e3, -1e5])
def test_a_mean_of_many_standard_deviations(level: float, instructions: str) -> None:
    for residual, threads in itertools.product((True, False), (1, 2)):
        case = make_pass(8, 16, (15, 17), 4, residual=residual, level=level)
        case.check(instructions, threads)
        # Images at other levels, so that the mean moves from block to block.
        case.x += 50 * torch.arange(8.0)[:, None, None, None]
        case.check(instructions, threads)


@each_set
def test_a_channel_without_variance(instructions: str) -> None:
    case = make_pass(4, 8, (6, 6), 2, residual=False)
    case.x[:, 3] = 0.1
    case.check(instructions, 1)


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_pass_where_the_output_is_positive(dtype: torch.dtype, instructions: str) -> None:
    """Also where rounding decides: what backward computes again is what forward computed."""
    for residual, channels in itertools.product((True, False), (8, 16, 64)):
        case = make_pass(16, channels, (9, 9), 8, dtype, residual=residual, level=300.0)
        case.bias.zero_()
        case.dy = torch.ones_like(case.dy)
        got = case.by_kernel(instructions, 2)
        assert torch.equal(got["dbias"], (got["out"] > 0).sum((0, 2, 3)).float())


@each_set
@given(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8))
def test_bf16_is_rounded_to_nearest_even(instructions: str, bits: list[int]) -> None:
    """Every float32, infinities and NaN among them, as PyTorch rounds it."""
    ties = torch.arange(8, dtype=torch.int64) * 0x8000 + 0x3F800000
    patterns = torch.cat([torch.tensor(bits), ties]).to(torch.uint32)
    bias = patterns.view(torch.float32)
    x = torch.zeros(1, 16, 2, 2, dtype=torch.bfloat16)
    with library.computing_with(instructions):
        for some in (bias, bias[:8], bias[8:]):
            c = len(some)
            out, *_ = batch_norm_relu(x[:, :c], torch.zeros(c), some, None, EPS, 1)
            want = some.relu().bfloat16()
            torch.testing.assert_close(out[0, :, 0, 1], want, rtol=0, atol=0, equal_nan=True)


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_not_hidden(
    value: float, dtype: torch.dtype, instructions: str
) -> None:
    for channels, residual in itertools.product((8, 16, 64), (True, False)):
        clean = make_pass(4, channels, (5, 5), 2, dtype, residual=residual)
        spoilt = dataclasses.replace(clean, x=clean.x.clone())
        spoilt.x[3, 5, 2, 2] = value  # the second chunk's fifth channel
        got, want = spoilt.by_kernel(instructions), clean.by_kernel(instructions)
        for name in ("out", "dx"):
            assert got[name][2:, 5].isnan().all(), name
            got[name][2:, 5] = want[name][2:, 5]
            assert torch.equal(got[name], want[name]), name
        assert not got["means"][1, 5].isfinite()
        assert got["variances"][1, 5].isnan()
        assert got["dweight"].isnan().nonzero().tolist() == [[5]]

        spoilt = dataclasses.replace(clean, dy=clean.dy.clone())
        open_at = (want["out"][:, 5] > 0).nonzero()[0]
        place = (int(open_at[0]), 5, int(open_at[1]), int(open_at[2]))
        spoilt.dy[place] = value
        got = spoilt.by_kernel(instructions)
        first = place[0] // 2 * 2
        assert not got["dx"][first : first + 2, 5].isfinite().any()
        assert (~got["dweight"].isfinite()).nonzero().tolist() == [[5]]
        assert (~got["dbias"].isfinite()).nonzero().tolist() == [[5]]


@each_set
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_residual_that_is_not_finite(dtype: torch.dtype, instructions: str) -> None:
    case = make_pass(2, 16, (3, 3), 2, dtype)
    assert case.residual is not None
    nan, inf = float("nan"), float("inf")
    case.residual[0, 4, 1] = torch.tensor([nan, inf, -inf])
    got = case.by_kernel(instructions)
    out, passed = got["out"][0, 4, 1], got["dresidual"][0, 4, 1]
    torch.testing.assert_close(
        out.float(), torch.tensor([nan, inf, 0.0]), rtol=0, atol=0, equal_nan=True
    )
    assert torch.equal(passed, case.dy[0, 4, 1] * torch.tensor([1, 1, 0]).to(dtype))
    assert got["out"].isnan().sum() == 1


@each_set
def test_the_result_does_not_change_from_call_to_call(instructions: str) -> None:
    weight = randn(16, 16, 3, 3, seed=1)
    for dtype, threads in itertools.product((torch.float32, torch.bfloat16), (1, 2)):
        case = make_pass(16, 16, (32, 32), 8, dtype)
        once, again = (case.by_kernel(instructions, threads) for _ in range(2))
        for name, value in once.items():
            assert torch.equal(value, again[name]), name
    with library.computing_with(instructions):
        once_, again_ = (
            with_gradients(_Convolution.apply, [case.x.float(), weight], case.dy, torch.float32)
            for _ in range(2)
        )
    assert all(torch.equal(a, b) for a, b in zip(once_, again_, strict=True))


@built
def test_batch_norm_refuses_what_it_does_not_compute() -> None:
    x, one = randn(4, 8, 3, 3), torch.ones(8)
    assert supports(x)
    assert supports(x.bfloat16().contiguous())
    for other in (x.double(), x.half(), x[0], randn(4, 12, 3, 3), x.to("meta")):
        assert not supports(other)
        with pytest.raises(ValueError, match="no kernel"):
            batch_norm_relu(other, one, one, None, EPS, 2)
    for chunk in (3, 0, -1, 8):
        with pytest.raises(ValueError, match="chunks"):
            batch_norm_relu(x, one, one, None, EPS, chunk)
    for residual in (x.bfloat16(), x[:2]):
        with pytest.raises(ValueError, match="residual"):
            batch_norm_relu(x, one, one, residual, EPS, 2)
    for weight in (one.double(), torch.ones(16)):
        with pytest.raises(ValueError, match="weight"):
            batch_norm_relu(x, weight, one, None, EPS, 2)
    with pytest.raises(TypeError, match="float64"):
        library.call("batch_norm_relu", x.double())


def test_instruction_sets_that_are_not_here_are_refused() -> None:
    with pytest.raises(ValueError, match="no kernels"), library.computing_with("AMX"):
        pass


@built
@pytest.mark.parametrize("network", ["resnet20", "plain8", "resnet14-B", "resnet8-w8"])
def test_a_networks_step(network: str) -> None:
    """The gradients of one step are float64's, but for a few ReLUs that rounding switches."""
    x, labels = randn(16, 3, 32, 32), torch.arange(16) % 10

    def gradients(model: nn.Module, autocast: bool = False) -> dict[str, Tensor]:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, unused-ignore]
        dtype = next(model.parameters()).dtype
        with torch.autocast("cpu", enabled=autocast):
            loss = F.cross_entropy(model(x.to(dtype)), labels)
        loss.backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    def with_kernels() -> nn.Module:
        model = build(network)
        kernels.use_winograd(model)
        assert WinogradConv2d in {type(m) for m in model.modules()}
        return model

    exact, ours = gradients(build(network).double()), gradients(with_kernels())
    assert ours.keys() == exact.keys()
    for name, value in exact.items():
        assert (ours[name] - value).norm() < 0.03 * value.norm(), name

    def off(found: dict[str, Tensor]) -> float:
        return sum(float((found[k] - v).norm() / v.norm()) for k, v in exact.items())

    # Bf16's rounding of the maps makes nearly all of what either is off.
    assert off(gradients(with_kernels(), True)) < 1.1 * off(gradients(build(network), True))


@built
def test_what_the_kernels_do_not_touch() -> None:
    model, plain = build("resnet14").eval(), build("resnet14").eval()
    kernels.use_winograd(model)
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
    )
    before = [type(m) for m in odd]
    kernels.use_winograd(odd)
    assert [type(m) for m in odd] == before
    wide = nn.Sequential(
        nn.Conv2d(8, winograd.WIDEST, 3, padding=1, bias=False),
        nn.Conv2d(winograd.WIDEST, 8, 3, padding=1, bias=False),
    )
    kernels.use_winograd(wide)
    assert [type(m) for m in wide] == [WinogradConv2d, WinogradConv2d]


@built
def test_a_run_says_that_it_used_them(tmp_path: Path, tiny_data: Dataset) -> None:
    job = smoke_job(tmp_path, tiny_data, "resnet8")
    job = dataclasses.replace(job, device=choose("cpu", "fp32", kernels="on"))
    train(job, tiny_data, Watch())
    assert store.read_record(job.run, job.folder).execution.kernels


def test_kernels_that_cannot_be_had_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="for a CPU and are not compiled"):
        choose("cpu", "fp32", kernels="on", compile="on")
    with pytest.raises(UserError, match="unknown setting"):
        choose("cpu", "fp32", kernels="perhaps")
    monkeypatch.setattr(kernels, "available", lambda: False)
    with pytest.raises(UserError, match="not built"):
        choose("cpu", "fp32", kernels="on")
    assert not choose("cpu", "fp32").kernels


@built
def test_a_step_in_bf16_goes_through_the_convolution_kernel(
    tiny_data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are cast for a step as a whole would leave it to PyTorch."""
    calls: list[torch.dtype] = []
    convolve = winograd._convolve

    def counted(x: Tensor, weight: Tensor, *more: Any) -> Tensor:
        calls.append(x.dtype)
        assert weight.dtype == torch.float32
        return convolve(x, weight, *more)

    monkeypatch.setattr(winograd, "_convolve", counted)
    recipe = dataclasses.replace(PROTOCOLS["smoke"], pad=4)
    trainer = Trainer("resnet14", tiny_data, recipe, 0, choose("cpu", "bf16", kernels="on"))
    trainer.step(0)
    # Of 12 convolutions in blocks two have stride 2; each of the others runs twice.
    assert calls == [torch.bfloat16] * 20
