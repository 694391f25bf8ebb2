"""What the processes of a distributed test do: run with torchrun's environment variables set."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from resnet_repro.evaluate.single_view import moving_statistics
from resnet_repro.runtime.device import choose
from resnet_repro.runtime.distributed import World, init_distributed
from resnet_repro.train.recipe import IMAGE_PROTOCOLS
from resnet_repro.train.sources import Reading, load_data
from resnet_repro.train.trainer import Trainer

STEPS = 3  # of which the last is the first at the full rate


def after_training(
    root: Path, cache: Path, parts: int, world: World, bn_batch: int = 4
) -> dict[str, torch.Tensor]:
    """What comes of some steps of resnet18-A on the photographs, at the smoke protocol's size.

    Batches are larger, so that two processes have two parts each, and there is a warm-up. Returns
    the last step's gradients, weights, momentum, moving averages, the warm-up, the interval's
    figures, the test's, and the statistics averaged for it.
    """
    device = choose("cpu", "fp32", kernels="off", grad_accum_steps=parts, photographs=True)
    # So small a rate that the last step's gradient is still that of the first weights: an
    # untrained network amplifies rounding a thousandfold from step to step. The second step ends
    # the warm-up unless every image of both batches is wrong.
    recipe = dataclasses.replace(
        IMAGE_PROTOCOLS["smoke"], batch_size=16, bn_batch=bn_batch, lr=1e-6,
        warmup_lr=1e-7, warmup_error=100.0, warmup_window=2,
    )  # fmt: skip
    data = load_data("imagenette", recipe, Reading(root, cache), world)
    trainer = Trainer("resnet18-A", data, recipe, 0, device, world)
    for iteration in range(STEPS):
        trainer.step(iteration)
    named = trainer.model.named_parameters()
    found = {f"gradient.{k}": p.grad.clone() for k, p in named if p.grad is not None}
    state = trainer.state()[0].items()  # weights, averages, momentum, warm-up
    found |= {k: v.clone().float() for k, v in state if not k.endswith("num_batches_tracked")}
    figures = dict(zip(("loss", "error"), trainer.pop_train_metrics(STEPS), strict=True))
    figures |= dataclasses.asdict(trainer.test())
    trainer.adopt_averages()
    averaged = {f"averaged.{i}": s for i, s in enumerate(moving_statistics(trainer.model))}
    trainer.source.close()
    return found | averaged | {k: torch.tensor(v, dtype=torch.float64) for k, v in figures.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--meeting", type=float, default=60.0)
    asked = parser.parse_args()
    with init_distributed("cpu", datetime.timedelta(seconds=asked.meeting)) as world:
        tensors = after_training(asked.root, asked.out / "cache", asked.parts, world)
        if world.first:
            save_file(
                {k: v.contiguous() for k, v in tensors.items()}, asked.out / "state.safetensors"
            )
