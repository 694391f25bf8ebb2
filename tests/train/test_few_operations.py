"""What was done a layer at a time is one operation for the network, and computes the same."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import tempfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from resnet_repro.data.dataset import Dataset
from resnet_repro.data.imagefolder import decode
from resnet_repro.data.imagefolder.decode import (
    LONGEST_TEMPORARY,
    check_shared_memory,
    check_temporary_folder,
    loader,
)
from resnet_repro.models import build
from resnet_repro.models.batch_norm import GhostBatchNorm2d, ghost_layers, track_together
from resnet_repro.runtime.device import Device, choose, computing
from resnet_repro.runtime.distributed import World
from resnet_repro.train import trainer as trainer_module
from resnet_repro.train.recipe import PROTOCOLS
from resnet_repro.train.trainer import Trainer
from tests.conftest import refused
from tests.helpers.cuda_stand_in import memory, tensors

CHUNKS = dataclasses.replace(PROTOCOLS["smoke"], bn_batch=16, warmup_lr=0.01, warmup_window=3)


class Writes(TorchDispatchMode):
    """Names the operations that are given some of `places`, and all there are."""

    def __init__(self, places: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.places, self.touching, self.all = places, [""][:0], [""][:0]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.all.append(str(func))
        if self.places & {memory(tensor) for tensor in tensors((args, kwargs))}:
            self.touching.append(str(func))
        return func(*args, **(kwargs or {}))


def averages(model: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("depth", [8, 26])
def test_moving_averages_and_counters_take_three_operations_at_any_depth(depth: int) -> None:
    together, alone = (build(f"resnet{depth}-B-w4", bn_batch=4) for _ in range(2))
    track_together(together)
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for model in (together, alone):
        model.train()
        for part in (x, 2 * x):
            with Writes({memory(buffer) for buffer in model.buffers()}) as writes:
                model(part)
        if model is together:
            assert writes.touching == [
                "aten._foreach_mul_.Scalar",
                "aten._foreach_add_.List",
                "aten._foreach_add_.Scalar",
            ]
    for name, value in averages(alone).items():
        assert torch.equal(averages(together)[name], value), name
    assert all(int(layer.num_batches_tracked or 0) == 4 for layer in ghost_layers(together))
    before = averages(together)
    together.eval()(x)
    for name, value in averages(together).items():
        assert torch.equal(before[name], value), name


@pytest.mark.parametrize("chunk", [4, 8])
def test_moving_averages_of_maps_in_bf16_are_not_rounded_to_it(chunk: int) -> None:
    layer = GhostBatchNorm2d(6, chunk)
    x = (100 + 7 * torch.randn(16, 6, 5, 5)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16), Writes(set()) as writes:
        layer(x)
    assert not any(name.startswith(("aten.mm", "aten.mv")) for name in writes.all)
    mean, variance = torch.zeros(6), torch.ones(6)
    for part in x.float().split(chunk):
        mean = 0.9 * mean + 0.1 * part.mean((0, 2, 3))
        variance = 0.9 * variance + 0.1 * part.var((0, 2, 3))
    assert layer.running_mean is not None
    assert layer.running_var is not None
    torch.testing.assert_close(layer.running_mean, mean, rtol=1e-5, atol=0)
    torch.testing.assert_close(layer.running_var, variance, rtol=1e-4, atol=0)


def after_steps(data: Dataset, device: Device, *, cast: bool) -> dict[str, Tensor]:
    with computing(device):
        trainer = Trainer("resnet8-w4", data, CHUNKS, 0, device)
        assert trainer._cast
        if not cast:
            trainer._cast = []
        for iteration in range(5):
            trainer.step(iteration)
        gradients = {n: p.grad for n, p in trainer.model.named_parameters() if p.grad is not None}
        return {name: value.clone() for name, value in (gradients | trainer.state()[0]).items()}


@pytest.mark.parametrize("parts", [1, 2])
def test_weights_cast_together_are_those_that_autocast_casts(digits: Dataset, parts: int) -> None:
    """Bit for bit, gradients and weights."""
    device = choose("cpu", "bf16", kernels="off", grad_accum_steps=parts)
    theirs = after_steps(digits, device, cast=False)
    for name, value in after_steps(digits, device, cast=True).items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.gpu
def test_weights_cast_together_on_a_gpu(digits: Dataset) -> None:
    device = choose("cuda", "bf16", compile="off")
    theirs = after_steps(digits, device, cast=False)
    for name, value in after_steps(digits, device, cast=True).items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-2, atol=1e-2)


def test_a_weight_is_cast_once_and_its_gradient_once(digits: Dataset) -> None:
    """Else the copies would be more operations, not fewer."""
    counts = []
    for cast in (True, False):
        device = choose("cpu", "bf16", kernels="off")
        trainer = Trainer("resnet14-w4", digits, CHUNKS, 0, device)
        trainer._cast = trainer._cast if cast else []
        trainer.step(0)
        trainer.source.prepare(1)
        with Writes(set()) as writes:
            trainer._compute()
        assert writes.all.count("aten._foreach_copy_.default") == (2 if cast else 0)
        counts.append(sum("_to_copy" in name for name in writes.all))
    weights = 15  # 14 layers' and the classifier's bias
    assert counts[1] - counts[0] == 2 * weights


def test_processes_do_not_send_statistics_that_they_put_together_themselves(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def parallel(model: nn.Module, **how: object) -> nn.Module:
        asked.update(how)
        return model

    monkeypatch.setattr(trainer_module, "DistributedDataParallel", parallel)
    Trainer("resnet8-w4", digits, CHUNKS, 0, choose("cpu", "fp32"), World(0, 2))
    assert asked["broadcast_buffers"] is False


def test_too_little_shared_memory_is_named_before_it_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = 256 * 224 * 224 * 3  # bytes, 38.5 MB
    monkeypatch.setattr(decode, "SHARED", tmp_path)
    usage = namedtuple("usage", ["free"])
    free: Callable[[object], Any] = lambda path: usage(64_000_000)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", free)
    refused(lambda: check_shared_memory(8, batch), "617 MB", "64 MB free", "--workers 0")
    refused(lambda: check_shared_memory(9, 3_000_000, 2), "--shm-size", "--workers 5")
    check_shared_memory(5, 3_000_000, 2)
    check_shared_memory(0, batch)
    monkeypatch.setattr(decode, "SHARED", tmp_path / "none")  # as on macOS
    check_shared_memory(8, batch)


def test_a_long_temporary_folder_is_said_before_readers_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sockets in it, through which they hand over, have names of at most 107 bytes."""
    room = LONGEST_TEMPORARY - len(os.fsencode("/tmp/"))
    monkeypatch.setattr(tempfile, "tempdir", f"/tmp/{'x' * room}")
    check_temporary_folder(1)
    sample = f"{tempfile.gettempdir()}/pymp-12345678/listener-12345678"
    with socket.socket(socket.AF_UNIX) as meeting, pytest.raises(FileNotFoundError):
        meeting.bind(sample)  # the folder is not there, and the name not too long
    monkeypatch.setattr(tempfile, "tempdir", f"/tmp/{'x' * (room + 1)}")
    with socket.socket(socket.AF_UNIX) as meeting, pytest.raises(OSError, match="too long"):
        meeting.bind(f"{tempfile.gettempdir()}/pymp-12345678/listener-12345678")
    refused(lambda: check_shared_memory(1, 1), "TMPDIR", "--workers 0", "at most 75")
    refused(lambda: next(loader([], [[0]], workers=1)), "TMPDIR")
    check_temporary_folder(0)
