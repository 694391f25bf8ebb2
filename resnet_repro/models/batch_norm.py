"""Batch normalisation over chunks of a batch ("ghost" batch normalisation)."""

from __future__ import annotations

import sys
from typing import cast

import torch
from torch import Tensor, nn

from resnet_repro.kernels import batch_norm as kernel


class GhostBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over chunks of the batch, each with statistics of its own.

    What a data-parallel run does whose devices hold `chunk` images each: the paper trained
    CIFAR-10 on two GPUs (section 4.2). The moving averages see the chunks one after another.
    At test time this is BatchNorm2d, and so are its parameters' names.

    chunk: images; a smaller batch is one chunk, any other must be whole chunks (ValueError).
    use_kernel: compute with the CPU kernel where it fits.
    together: leave the moving averages to `track_together`, for which they are noted.
    sums: while statistics are averaged, (2, num_features) float64, to which every chunk's mean
    and unbiased variance are added instead of to the moving averages; else None.
    """

    def __init__(
        self, num_features: int, chunk: int, *, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__(num_features, eps, momentum)
        self.chunk = chunk
        self.use_kernel = False
        self.together = False
        self.noted: tuple[Tensor, Tensor, int] | None = None
        self.sums: Tensor | None = None
        self.chunks_summed = 0

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape and type."""
        if not self.training or (len(x) <= self.chunk and self.sums is None):
            return super().forward(x)
        chunks = x.unflatten(0, (-1, self._chunk_of(x)))
        # Statistics of bf16 maps are taken in float32, as PyTorch's own operation does.
        exact = chunks if x.dtype == torch.float64 else chunks.float()
        variances, means = torch.var_mean(exact, (1, 3, 4), correction=0, keepdim=True)
        scale = torch.rsqrt(variances + self.eps) * self.weight.view(-1, 1, 1)
        scaled = (exact - means) * scale + self.bias.view(-1, 1, 1)
        self._track(means.detach().flatten(1), variances.detach().flatten(1), x)
        return cast(Tensor, scaled.to(x.dtype).flatten(0, 1))

    def fuses(self, x: Tensor) -> bool:
        """Whether `with_relu` is for this input."""
        return self.training and self.use_kernel and kernel.supports(x)

    def with_relu(self, x: Tensor, residual: Tensor | None) -> Tensor:
        """relu(self(x) + residual), (N, C, H, W), in one pass of the CPU kernel."""
        out, means, variances = kernel.batch_norm_relu(
            x, self.weight, self.bias, residual, self.eps, self._chunk_of(x)
        )
        self._track(means, variances, x)
        return out

    def _chunk_of(self, x: Tensor) -> int:
        chunk = min(self.chunk, len(x))
        if len(x) % chunk:
            raise ValueError(f"a batch of {len(x)} images is not whole chunks of {chunk}")
        return chunk

    @torch.no_grad()
    def _track(self, means: Tensor, variances: Tensor, x: Tensor) -> None:
        """Take in the chunks' means and biased variances, both (chunks, C)."""
        chunks = len(means)
        count = x.numel() // (chunks * self.num_features)
        unbiased = variances * (count / max(1, count - 1))
        if self.sums is not None:
            self.sums += torch.stack([means, unbiased]).sum(1, dtype=self.sums.dtype)
            self.chunks_summed += chunks
            return
        assert self.momentum is not None
        # Chunk after chunk R becomes (1 - m) R + m s; all of them at once are a weighted sum.
        keep = 1.0 - self.momentum
        # Made on the device: a captured step may not copy from the host.
        later = torch.arange(chunks - 1, -1, -1, device=means.device, dtype=means.dtype)
        weights = self.momentum * keep**later
        self.noted = (_weighted(weights, means, x), _weighted(weights, unbiased, x), chunks)
        if not self.together:
            _take_in([self])


def _weighted(weights: Tensor, values: Tensor, x: Tensor) -> Tensor:
    """The sum of the rows of `values`, each times its weight; `x` is what they are statistics of.

    Not a matrix product where that would be rounded to bf16 or TF32, and a kernel of its own. On
    a CPU in float32 it is one, in which sums come in another order: runs go on as they began.
    """
    if x.is_cuda or x.dtype == torch.bfloat16:
        return (weights.view(-1, 1) * values).sum(0)
    return weights @ values


def track_together(model: nn.Module) -> None:
    """Let `model` bring the moving averages of all its layers up to date at once, after a call.

    A layer at a time these are most operations of a step, as few as they compute.
    """
    layers = ghost_layers(model)
    for layer in layers:
        layer.together = True

    def hook(module: nn.Module, inputs: object, output: object) -> None:
        # A copy of the model has this hook and layers of its own.
        own = layers if module is model else ghost_layers(module)
        noted = [layer for layer in own if layer.noted is not None]
        if noted:
            _take_in(noted)

    model.register_forward_hook(hook)


@torch.no_grad()
def _take_in(layers: list[GhostBatchNorm2d]) -> None:
    """Bring the moving averages up to date by what layers of one batch have noted."""
    averages, news, counters = [], [], []
    for layer in layers:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert layer.num_batches_tracked is not None
        assert layer.noted is not None
        mean, variance, chunks = layer.noted
        averages += [layer.running_mean, layer.running_var]
        news += [mean, variance]
        counters.append(layer.num_batches_tracked)
        layer.noted = None
    keep = 1.0 - (layers[0].momentum or 0.0)
    torch._foreach_mul_(averages, keep**chunks)
    torch._foreach_add_(averages, news)
    torch._foreach_add_(counters, chunks)


def ghost_layers(model: nn.Module) -> list[GhostBatchNorm2d]:
    """The batch normalisations of a network built with `bn_batch`, in their order."""
    return [module for module in model.modules() if isinstance(module, GhostBatchNorm2d)]


def over_whole_batches(model: nn.Module) -> nn.Module:
    """Let `model` normalise over each batch as a whole, as BatchNorm2d does; returns it."""
    for layer in ghost_layers(model):
        layer.chunk, layer.use_kernel = sys.maxsize, False
    return model
