"""Layer responses (Fig. 7): how strongly each 3x3 layer answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from resnet_repro.data.source import Source
from resnet_repro.evaluate.single_view import Total


def response_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The batch normalisation after every 3x3 convolution, in order, by its convolution's name.

    Projection shortcuts (options B and C) have 1x1 convolutions and are not among them.
    """
    modules = dict(model.named_modules())
    found = []
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            found.append((name, modules[name.replace("conv", "bn")]))
    return found


@torch.no_grad()
def layer_responses(
    model: nn.Module, source: Source, total: Total = lambda tensor: tensor
) -> list[tuple[str, float]]:
    """Standard deviation of each 3x3 layer's output over the test images, section 4.2 and Fig. 7.

    After batch normalisation and before the nonlinearity or addition; eval mode; over all
    images, channels and pixels. Returns (layer name, std) from input to output. `total` adds up
    what several processes found on their parts of the set.
    """
    layers = response_layers(model)
    # Means of each batch and of its squares, on the device until all are there.
    found: dict[str, list[Tensor]] = {name: [] for name, _ in layers}
    counts: dict[str, list[int]] = {name: [] for name, _ in layers}

    def watch(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            # Taken before the in-place ReLU or addition that follows can change it.
            exact = output.float()
            found[name].append(torch.stack([exact.mean(), exact.square().mean()]))
            counts[name].append(output.numel())

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in layers]  # type: ignore[arg-type]
    was_training = model.training
    model.eval()
    try:
        for x, _ in source.test_batches():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)

    sums = {name: torch.zeros(3, dtype=torch.float64) for name, _ in layers}
    if found[layers[0][0]]:  # a process may have no test image
        means = torch.stack([torch.stack(found[name]) for name, _ in layers]).tolist()
        for (name, _), each in zip(layers, means, strict=True):
            for n, (mean, square) in zip(counts[name], each, strict=True):
                sums[name] += torch.tensor([n, n * mean, n * square], dtype=torch.float64)

    def std(name: str) -> float:
        n, first, squares = total(sums[name]).tolist()
        return float(max(0.0, squares / n - (first / n) ** 2) ** 0.5)

    return [(name, std(name)) for name, _ in layers]
