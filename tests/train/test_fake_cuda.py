"""What a step asks of a CUDA device, seen without one: shapes and devices, and no values.

Fake tensors know their device and compute nothing; what would bring a value to the host, or one
of the host's to the device, is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_repro.data.dataset import Dataset
from resnet_repro.evaluate.layer_responses import layer_responses
from resnet_repro.runtime.device import Device, choose
from resnet_repro.train import trainer as trainer_module
from resnet_repro.train.checkpoint import on_host
from resnet_repro.train.optimizer import make_optimizer
from resnet_repro.train.recipe import PROTOCOLS, Recipe
from resnet_repro.train.trainer import Trainer
from tests.helpers.cuda_stand_in import tensors

WARM = dataclasses.replace(
    PROTOCOLS["smoke"], warmup_lr=0.01, warmup_window=3, warmup_error=200.0, drops=(5, 9)
)
CHUNKS = dataclasses.replace(WARM, bn_batch=16)
# What needs a value, or a size that depends on values, before the host can go on.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "bincount")


class FakeCopies(TorchDispatchMode):
    """Counts transfers from the device to the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.made = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        here = {tensor.device.type for tensor in tensors(out)}
        self.made += here == {"cpu"} and any(t.device.type == "cuda" for t in tensors(args))
        return out


class Host(TorchDispatchMode):
    """Counts operations, and refuses those that make the host wait or mix it with the device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.calls: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = str(func)
        self.calls.append(name)
        chosen = "aten.index" in name and any(t.dtype == torch.bool for t in tensors(args[1:2]))
        waits = chosen or any(word in name for word in WAITING)
        assert not waits, f"{name} waits for the device"
        # The fused optimiser knows no fake tensors; it returns nothing.
        fake = any(isinstance(tensor, FakeTensor) for tensor in tensors(args))
        out = None if fake and "_fused_sgd" in name else func(*args, **(kwargs or {}))
        devices = {tensor.device.type for tensor in tensors((args, kwargs, out))}
        assert len(devices) <= 1, f"{name} mixes {devices}"
        return out


def test_the_host_is_caught_waiting() -> None:
    """Else the tests below would show nothing."""
    waiting: list[Callable[[Tensor], object]] = [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
    ]
    for waits in waiting:
        with pytest.raises(AssertionError, match="waits"), Host():
            waits(torch.ones(3))
    with FakeTensorMode(), Host():
        there = torch.ones(3, device="cuda")
        mixing: list[Callable[[], object]] = [
            lambda: there.cpu(),
            lambda: there + torch.ones(()),
            lambda: there.copy_(torch.ones(3)),
        ]
        for mixes in mixing:
            with pytest.raises(AssertionError, match="mixes"):
                mixes()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("recipe", [PROTOCOLS["smoke"], WARM, CHUNKS], ids=["plain", "warm", "bn"])
def test_nothing_in_a_step_waits(digits: Dataset, recipe: Recipe, precision: str) -> None:
    """The backward pass included, over drops, an epoch's end and the end of the warm-up."""
    trainer = Trainer("resnet8-B-w4", digits, recipe, 0, choose("cpu", precision, kernels="off"))
    for iteration in (*range(6), 9, 44, 45):
        with Host() as host:
            trainer.step(iteration)
        assert len(host.calls) > 100


@pytest.fixture
def _fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks are made on the device, in which fake tensors differ from real ones."""

    def to(model: nn.Module, device: torch.device, memory_format: Any) -> nn.Module:
        for module in model.modules():
            for name, value in module.named_parameters(recurse=False):
                moved = value.detach().to(device)
                if value.ndim == 4:
                    moved = moved.contiguous(memory_format=memory_format)
                module.register_parameter(name, nn.Parameter(moved))
            for name, buffer in module.named_buffers(recurse=False):
                module.register_buffer(name, buffer.to(device))
        return model

    def with_rate(model: nn.Module, recipe: Recipe, rate: Tensor) -> torch.optim.SGD:
        optimizer = make_optimizer(model, recipe, 0.1)  # its construction looks at the rate
        for group in optimizer.param_groups:
            group["lr"] = rate
        return optimizer

    def pinned(tensor: Tensor, *args: object) -> Tensor:
        return tensor

    def no_gradients(tensor: Tensor) -> None:
        """Autograd's engine wants a real device; gradients of the right places will do."""

    monkeypatch.setattr(nn.Module, "to", to)
    monkeypatch.setattr(trainer_module, "make_optimizer", with_rate)
    monkeypatch.setattr(Tensor, "pin_memory", pinned)
    monkeypatch.setattr(Tensor, "backward", no_gradients)
    monkeypatch.setattr("torch.cuda.amp.common.amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args: True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def on_cuda(data: Dataset, recipe: Recipe, precision: str) -> Trainer:
    trainer = Trainer("resnet8-B-w4", data, recipe, 0, Device("cuda", precision, 1))
    trainer._ahead = None
    for parameter in trainer.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimizer.zero_grad = lambda set_to_none=True: None  # type: ignore[method-assign]
    return trainer


@pytest.mark.usefixtures("_fake_cuda")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("recipe", [PROTOCOLS["smoke"], WARM, CHUNKS], ids=["plain", "warm", "bn"])
def test_everything_of_a_step_is_on_the_device(
    digits: Dataset, recipe: Recipe, precision: str
) -> None:
    """Batch, forward pass, loss, warm-up, update and sums."""
    trainer = on_cuda(digits, recipe, precision)
    trainer.source.prepare(0)
    with Host() as host:
        trainer._compute()
    assert any("_fused_sgd" in name for name in host.calls)
    # Averages of chunks are taken in together, and so are the counters.
    assert host.calls.count("aten._foreach_add_.Scalar") == (recipe is CHUNKS)
    # Averages are no matrix products, which would be rounded.
    assert not any(name.startswith(("aten.mm", "aten.mv")) for name in host.calls)
    casts = [name for name in host.calls if "_foreach_copy_" in name]
    assert len(casts) == (precision == "bf16")
    assert {t.device.type for t in trainer._tensors().values()} == {"cuda"}
    x, labels = trainer.source.batch_at(trainer.iteration)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert (x.device.type, labels.device.type) == ("cuda", "cuda")


@pytest.mark.usefixtures("_fake_cuda")
def test_a_checkpoint_comes_by_one_transfer_for_each_type(digits: Dataset) -> None:
    tensors_by_name = on_cuda(digits, WARM, "fp32").state()[0]
    with FakeCopies() as copies:
        host = on_host(tensors_by_name)
    assert {tensor.device.type for tensor in host.values()} == {"cpu"}
    assert copies.made == len({tensor.dtype for tensor in host.values()})


def test_copies_for_a_checkpoint_are_contiguous_and_equal(digits: Dataset) -> None:
    trainer = Trainer("resnet8-w4", digits, WARM, 0, choose("cpu", "fp32"))
    there = trainer.state()[0]
    host = on_host(there)
    assert list(host) == list(there)
    for name, tensor in there.items():
        assert torch.equal(host[name], tensor), name
        assert host[name].is_contiguous()


@pytest.mark.usefixtures("_fake_cuda")
def test_statistics_are_averaged_over_large_batches_on_a_gpu(digits: Dataset) -> None:
    """Where an operation takes as long for 1,000 images as for 250."""
    source = on_cuda(digits, CHUNKS, "fp32").source
    assert [len(x) for x in source.chunk_batches(10_000, 16)] == [992, 432]


def test_layer_responses_wait_for_the_device_once(digits: Dataset) -> None:
    trainer = Trainer("resnet8-w4", digits, WARM, 0, choose("cpu", "fp32", kernels="off"))
    with Host():
        assert len(layer_responses(trainer.model, trainer.source)) == 7


@pytest.mark.usefixtures("_fake_cuda")
def test_only_the_upload_of_an_epoch_comes_from_the_host(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it comes from pinned memory and without waiting."""
    trainer = on_cuda(digits, WARM, "fp32")
    copies: list[bool] = []
    copy = Tensor.copy_

    def watched(to: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
        if to.device != source.device:
            copies.append(non_blocking)
        return copy(to, source, non_blocking)

    monkeypatch.setattr(Tensor, "copy_", watched)
    for iteration in range(8):
        trainer.source.prepare(iteration)
        with Host():
            trainer._follow_schedule(iteration)
            trainer.iteration.fill_(iteration)
            trainer._compute()
    assert copies == [True] * 2  # this epoch and the next
