"""One network being trained: the step, and the state that a checkpoint must hold."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnet_repro.data.dataset import Dataset
from resnet_repro.data.pixels import Pixels
from resnet_repro.kernels import use_kernels
from resnet_repro.models import build
from resnet_repro.train.device import Device, autocast
from resnet_repro.train.optimizer import make_optimizer, set_learning_rate
from resnet_repro.train.recipe import Recipe

STAGES = ("conv1", "layer1", "layer2", "layer3", "fc")


class Trainer:
    """Network, optimiser, data and the sums of the current interval, on one device.

    `loss_sum` (nats) and `wrong_sum` (images) add up per batch without waiting for the device.
    """

    def __init__(
        self, network: str, data: Dataset, recipe: Recipe, seed: int, device: Device
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.pixels = Pixels(
            data,
            seed=seed,
            batch_size=recipe.batch_size,
            pad=recipe.pad,
            flip=recipe.flip,
            mean=recipe.mean,
            device=device.torch,
        )
        chunked = recipe.bn_batch < recipe.batch_size
        model: nn.Module = build(
            network,
            num_classes=len(data.classes),
            in_channels=data.train.images.shape[1],
            bn_batch=recipe.bn_batch if chunked else None,
            init=recipe.init,
            seed=seed,
        )
        self.model = model.to(device.torch, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.kernels:
            use_kernels(self.model)
        self.model.train()
        self.warming = recipe.warmup_lr > 0
        self.warmup_ended: int | None = None
        self.window: list[float] = []  # training error in % of the last batches, while warming
        self.optimizer = make_optimizer(self.model, recipe, recipe.learning_rate(0, self.warming))
        self.loss_sum = torch.zeros((), device=device.torch)
        self.wrong_sum = torch.zeros((), dtype=torch.int64, device=device.torch)

    def step(self, iteration: int) -> None:
        """One step of SGD on batch `iteration` (the first is 0)."""
        lr = self.recipe.learning_rate(iteration, self.warming)
        set_learning_rate(self.optimizer, lr, self.recipe)
        x, labels = self.pixels.train_batch(iteration)
        with autocast(self.device):
            logits: Tensor = self.model(x)
            loss = F.cross_entropy(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        wrong = (logits.detach().argmax(1) != labels).sum()
        self.loss_sum += loss.detach()
        self.wrong_sum += wrong
        if self.warming:
            self._end_warmup(iteration, 100.0 * wrong.item() / len(labels))

    def _end_warmup(self, iteration: int, error: float) -> None:
        """Leave the low rate once the last batches' mean training error is low enough (4.2)."""
        self.window = [*self.window, error][-self.recipe.warmup_window :]
        full = len(self.window) == self.recipe.warmup_window
        if full and sum(self.window) / len(self.window) < self.recipe.warmup_error:
            self.warming = False
            self.warmup_ended = iteration + 1

    def take_interval(self, steps: int) -> tuple[float, float]:
        """Mean training loss in nats and error in % over the `steps` since the last call."""
        loss = self.loss_sum.item() / steps
        error = 100.0 * self.wrong_sum.item() / (steps * self.recipe.batch_size)
        self.loss_sum.zero_()
        self.wrong_sum.zero_()
        return loss, error

    def gradient_norms(self) -> dict[str, float]:
        """Euclidean norm of each stage's loss gradient at the last step (weight decay apart)."""
        squares = dict.fromkeys(STAGES, 0.0)
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                stage = name.split(".", 1)[0].replace("bn1", "conv1")
                squares[stage] += parameter.grad.float().square().sum().item()
        return {stage: square**0.5 for stage, square in squares.items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        """Tensors and plain values from which `load` goes on bit for bit."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            buffer = self.optimizer.state.get(parameter, {}).get("momentum_buffer")
            if buffer is not None:
                tensors[f"momentum.{name}"] = buffer
        tensors["loss_sum"], tensors["wrong_sum"] = self.loss_sum, self.wrong_sum
        plain: dict[str, object] = {
            "lr": self.optimizer.param_groups[0]["lr"],
            "warming": self.warming,
            "warmup_ended": self.warmup_ended,
            "window": self.window,
        }
        return tensors, plain

    def load(self, tensors: dict[str, Tensor], plain: dict[str, object]) -> None:
        """Take over a state. Raises KeyError or RuntimeError when it is another network's."""
        own = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(own)
        for group in self.optimizer.param_groups:
            group["lr"] = plain["lr"]
        for name, parameter in self.model.named_parameters():
            saved = tensors.get(f"momentum.{name}")
            if saved is not None:
                # empty_like keeps the parameter's memory layout, on which sums' order depends.
                buffer = torch.empty_like(parameter).copy_(saved)
                self.optimizer.state[parameter]["momentum_buffer"] = buffer.detach()
        self.loss_sum.copy_(tensors["loss_sum"])
        self.wrong_sum.copy_(tensors["wrong_sum"])
        self.warming = bool(plain["warming"])
        self.warmup_ended = cast("int | None", plain["warmup_ended"])
        self.window = list(cast("list[float]", plain["window"]))
