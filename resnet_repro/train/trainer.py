"""One network being trained: the step, and the state that a checkpoint must hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from resnet_repro.data.in_memory import InMemoryLoader
from resnet_repro.errors import UserError
from resnet_repro.evaluate.single_view import (
    CapturedView,
    SingleView,
    averaged_statistics,
    set_statistics,
    with_statistics,
)
from resnet_repro.kernels import use_winograd
from resnet_repro.models import build
from resnet_repro.models.batch_norm import ghost_layers, track_together
from resnet_repro.runtime.compilation import compile_blocks
from resnet_repro.runtime.cuda_graph import RunAhead, make_cuda_graph
from resnet_repro.runtime.device import Device, autocast, synchronize, uncompiled
from resnet_repro.runtime.distributed import SINGLE_PROCESS, RunningStatistics, World
from resnet_repro.train import norms
from resnet_repro.train.half import call_cast, cast_names
from resnet_repro.train.optimizer import change_rate, make_optimizer, rescale_momentum
from resnet_repro.train.recipe import Recipe
from resnet_repro.train.sources import Data, channels, open_source
from resnet_repro.train.warmup import Warmup


@dataclass(frozen=True)
class Tested:
    """A test: loss in nats, errors in % with the recipe's statistics and with moving averages."""

    loss: float
    error: float
    error_moving: float


class Trainer:
    """Network, optimiser, data and the sums of the current interval, on one device.

    A step is what the host must do (upload the next epoch's chance, change the learning rate on
    schedule) and what the device does, which reads and writes tensors alone: the iteration's
    number, the rate, the warm-up's state and the sums are tensors, too. So the device's part can
    be captured as a CUDA graph, and nothing waits for the device between two rows.

    network: a name, or a module that is trained from the weights it has.
    """

    def __init__(
        self,
        network: str | nn.Module,
        data: Data,
        recipe: Recipe,
        seed: int,
        device: Device,
        world: World = SINGLE_PROCESS,
    ) -> None:
        check_grad_accum(recipe, device, world)
        self.recipe = recipe
        self.device = device
        self.world = world
        self.source = open_source(data, recipe, seed, device, world)
        model = network if isinstance(network, nn.Module) else _built(network, data, recipe, seed)
        self.model = model.to(device.torch, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for layer in ghost_layers(self.model):
            layer.use_kernel = device.kernels
        if device.kernels:
            use_winograd(self.model)
        if device.compile:
            compile_blocks(self.model)
        track_together(self.model)
        self.model.train()
        # What a step calls: the model, or the model with gradients averaged over processes.
        self.network: nn.Module = self.model
        self.running: RunningStatistics | None = None
        # In bf16 casting weights is a seventh of a small net's operations, unless it is one.
        alone = device.precision == "bf16" and world.size == 1
        self._cast = cast_names(self.model) if alone else []
        if world.size > 1:
            self.network = DistributedDataParallel(
                # Statistics are put together once a step, by `RunningStatistics`.
                self.model,
                gradient_as_bucket_view=True,
                broadcast_buffers=False,
            )
            own = recipe.batch_size // world.size
            self.running = RunningStatistics(self.model, world, own // recipe.bn_batch)
        # The rate is a tensor of the type that the fused optimiser reads on this device.
        real = torch.float64 if device.kind == "cpu" else torch.float32
        self.scheduled = recipe.learning_rate(0)
        self._scheduled = torch.tensor(self.scheduled, dtype=real, device=device.torch)
        self.warming = recipe.warmup_lr > 0  # as the host knows it, at the last row
        self.warmup = Warmup(recipe, device.torch, real) if self.warming else None
        self.warmup_ended: int | None = None
        self._rate = (self.warmup.low if self.warmup else self._scheduled).clone()
        self.optimizer = make_optimizer(self.model, recipe, self._rate)
        self.iteration = torch.zeros((), dtype=torch.int64, device=device.torch)
        self.loss_sum = torch.zeros((), device=device.torch)
        self.num_errors = torch.zeros((), dtype=torch.int64, device=device.torch)
        self._replay: Callable[[], None] | None = None
        self._ahead = RunAhead() if device.kind == "cuda" else None
        self._view = (
            CapturedView(self.model, self.source, make_cuda_graph, pad=device.compile)
            if device.graph and isinstance(self.source, InMemoryLoader)
            else SingleView(self.model, self.source, world.sum, pad=device.compile)
        )

    def step(self, iteration: int) -> None:
        """One step of SGD on batch `iteration` (the first is 0)."""
        self.source.prepare(iteration)
        self._follow_schedule(iteration)
        self.iteration.fill_(iteration)
        if not self.device.graph:
            self._compute()
        else:
            if self._replay is None:
                self._replay = make_cuda_graph(self._compute, self._tensors().values())
            self._replay()
        if self._ahead:
            self._ahead.stepped()

    def wait(self) -> None:
        """Wait until the device has done every step that was asked of it."""
        synchronize(self.device)

    def _follow_schedule(self, iteration: int) -> None:
        scheduled = self.recipe.learning_rate(iteration)
        if scheduled == self.scheduled:
            return
        if not self.warming:  # else the device compares the rates at each step
            change_rate(self.optimizer, self.scheduled, scheduled, self.recipe)
        self._scheduled.fill_(scheduled)
        self.scheduled = scheduled

    def _compute(self) -> None:
        """The device's part of a step."""
        x, labels = self.source.batch_at(self.iteration)
        self.optimizer.zero_grad(set_to_none=True)
        before = self.running.now() if self.running else None
        parts = self.device.grad_accum_steps
        mean, wrong = torch.zeros_like(self.loss_sum), torch.zeros_like(self.num_errors)
        for part, (some, answers) in enumerate(
            zip(x.chunk(parts), labels.chunk(parts), strict=True), 1
        ):
            with self._gathering(last=part == parts):
                with autocast(self.device):
                    logits = self._logits(some)
                    loss = F.cross_entropy(logits, answers) / parts
                loss.backward()
            mean += loss.detach()
            wrong += (logits.detach().argmax(1) != answers).sum()
        if self.running and before is not None:
            self.running.merge(before)
        # Of the whole batch, so that every process knows the same.
        mean, wrong = self.world.sum(mean) / self.world.size, self.world.sum(wrong)
        if self.warming and self.warmup:
            rate = self.warmup.rate(self._scheduled)
            rescale_momentum(self.optimizer, self._rate / rate, self.recipe)
            self._rate.copy_(rate)
            self.warmup.note(self.iteration, wrong)
        self.optimizer.step()
        self.loss_sum += mean
        self.num_errors += wrong

    def _logits(self, x: Tensor) -> Tensor:
        if self._cast:
            return call_cast(self.model, self._cast, x)
        return self.network(x)  # type: ignore[no-any-return]

    def _gathering(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        """Processes average their gradients once a step, with its last part."""
        if last or not isinstance(self.network, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.network.no_sync()  # type: ignore[no-any-return, no-untyped-call, unused-ignore]

    def pop_train_metrics(self, steps: int) -> tuple[float, float]:
        """Mean training loss in nats and error in % over the `steps` since the last call.

        Waits for the device, and learns from it whether the warm-up has ended.
        """
        loss = self.loss_sum.item() / steps
        error = 100.0 * self.num_errors.item() / (steps * self.recipe.batch_size)
        self.loss_sum.zero_()
        self.num_errors.zero_()
        if self.warming and self.warmup and not self.warmup.cold.item():
            self.warming, self.warmup_ended = False, int(self.warmup.ended.item())
            # The last update may still have been at the low rate.
            factor = self._rate / self._scheduled
            rescale_momentum(self.optimizer, factor, self.recipe)
            self._rate.copy_(self._scheduled)
            self._replay = None  # steps have become shorter
        return loss, error

    def test(self) -> Tested:
        """The single view (section 4.2), with averaged and with moving statistics of BN.

        Computed as a step is, in its precision. Steps that follow are as without it, bit for bit.
        """
        with autocast(self.device):
            loss, moving = self._view.error()
            if self.recipe.bn_statistics == "moving":
                return Tested(loss, moving, moving)
            with with_statistics(self.model, self._averages()):
                return Tested(*self._view.error(), moving)

    def adopt_averages(self) -> None:
        """Keep, of a finished network, the statistics that it was tested with."""
        if self.recipe.bn_statistics == "averaged":
            with autocast(self.device):
                set_statistics(self.model, self._averages())

    def test_in_float32(self) -> float:
        """Top-1 error in % of the single view in float32 with the present statistics."""
        with uncompiled(self.device):
            return SingleView(self.model, self.source, self.world.sum).error()[1]

    def _averages(self) -> list[Tensor]:
        batches = self.source.chunk_batches(self.recipe.bn_images, self.recipe.bn_batch)
        with uncompiled(self.device):
            return averaged_statistics(self.model, batches, self.world.sum)

    def rate(self, iteration: int) -> float:
        """The learning rate of the update that completed `iteration`, at or before the last row."""
        cold = self.warmup and (self.warming or iteration <= (self.warmup_ended or 0))
        return self.recipe.warmup_lr if cold else self.scheduled

    def gradient_norms(self) -> dict[str, float]:
        """Euclidean norm of each stage's loss gradient at the last step (weight decay apart)."""
        return norms.gradient_norms(self.model)

    def weight_norms(self) -> dict[str, float]:
        """Euclidean norm of each stage's parameters, batch normalisation's among them."""
        return norms.weight_norms(self.model)

    def _tensors(self) -> dict[str, Tensor]:
        """Every tensor that steps change and that outlives them, by its name in checkpoints."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            state = self.optimizer.state.get(parameter, {})
            tensors |= {f"momentum.{name}": v for k, v in state.items() if k == "momentum_buffer"}
        tensors |= {"loss_sum": self.loss_sum, "wrong_sum": self.num_errors, "rate": self._rate}
        if self.warmup:
            tensors |= {f"warmup.{k}": v for k, v in self.warmup.tensors().items()}
        return tensors

    def state(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        """Tensors and plain values from which `load` goes on bit for bit; every process's equal."""
        plain: dict[str, object] = {
            "scheduled": self.scheduled,
            "warming": self.warming,
            "warmup_ended": self.warmup_ended,
        }
        return self._tensors(), plain

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], plain: dict[str, object]) -> None:
        """Take over a state. Raises KeyError when it is another network's."""
        # Copied into the tensors there are: they keep their memory layout, on which the order
        # of sums depends, and a captured graph goes on reading them.
        own = self._tensors()
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in tensors.items()}:
            raise KeyError("tensors of another network")
        for name, live in own.items():
            live.copy_(tensors[name])
        self.scheduled = float(cast(float, plain["scheduled"]))
        self._scheduled.fill_(self.scheduled)
        self.warming = bool(plain["warming"])
        self.warmup_ended = cast("int | None", plain["warmup_ended"])


def _built(network: str, data: Data, recipe: Recipe, seed: int) -> nn.Module:
    return build(
        network,
        num_classes=len(data.classes),
        in_channels=channels(data),
        bn_batch=recipe.bn_batch,
        bn_momentum=recipe.bn_momentum,
        bn_eps=recipe.bn_eps,
        init=recipe.init,
        classifier_init=recipe.classifier_init,
        seed=seed,
    )


def check_grad_accum(recipe: Recipe, device: Device, world: World) -> None:
    """Whether a batch can be shared by the processes and computed in parts.

    Each part must hold whole chunks of batch normalisation, or the result would depend on how it
    is computed. Raises UserError otherwise.
    """
    shares = world.size * device.grad_accum_steps
    if shares == 1:
        return
    chunk = min(recipe.bn_batch, recipe.batch_size)
    if recipe.batch_size % shares or (recipe.batch_size // shares) % chunk:
        raise UserError(
            f"a batch of {recipe.batch_size} normalised over {chunk} images cannot be computed in "
            f"{shares} parts (processes times --accumulate): give a number of parts that divides "
            f"{recipe.batch_size // chunk}"
        )
