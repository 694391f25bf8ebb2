"""What the processes of a distributed test do: run with torchrun's environment variables set."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from resnet_repro.train.device import choose
from resnet_repro.train.distributed import World, joined
from resnet_repro.train.recipe import IMAGE_PROTOCOLS
from resnet_repro.train.sources import Reading, load_data
from resnet_repro.train.trainer import Trainer


def state_after(
    steps: int, root: Path, cache: Path, parts: int, world: World, bn_batch: int = 4
) -> Trainer:
    """A trainer of resnet18-A after some steps of the smoke protocol on the photographs."""
    device = choose("cpu", "fp32", kernels="off", parts=parts, photographs=True)
    # So small a rate that the second step's gradient is still that of the first weights: an
    # untrained network amplifies rounding a thousandfold from step to step. The second step ends
    # the warm-up unless every image of both batches is wrong.
    recipe = dataclasses.replace(
        IMAGE_PROTOCOLS["smoke"], batch_size=16, bn_batch=bn_batch, lr=1e-6,
        warmup_lr=1e-7, warmup_error=100.0, warmup_window=2,
    )  # fmt: skip
    data = load_data("imagenette", recipe, Reading(root, cache), world)
    trainer = Trainer("resnet18-A", data, recipe, 0, device, world)
    for iteration in range(steps):
        trainer.step(iteration)
    trainer.source.close()
    return trainer


def tensors_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Gradients of the last step, weights, running averages, warm-up and interval's figures."""
    named = trainer.model.named_parameters()
    found = {f"gradient.{k}": p.grad.clone() for k, p in named if p.grad is not None}
    found |= {k: v.clone() for k, v in trainer.model.state_dict().items() if v.is_floating_point()}
    assert trainer.warmup is not None
    found |= {f"warmup.{k}": v.clone().float() for k, v in trainer.warmup.tensors().items()}
    loss, error = trainer.take_interval(1)
    return found | {"loss": torch.tensor(loss), "error": torch.tensor(error)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--meeting", type=float, default=60.0)
    asked = parser.parse_args()
    with joined("cpu", datetime.timedelta(seconds=asked.meeting)) as world:
        trainer = state_after(2, asked.root, asked.out / "cache", asked.parts, world)
        tensors = tensors_of(trainer)
        if world.first:
            save_file(
                {k: v.contiguous() for k, v in tensors.items()}, asked.out / "state.safetensors"
            )
