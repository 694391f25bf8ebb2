"""Batch normalisation, the residual's addition and ReLU in one operation on a CPU.

Normalisation is over chunks of the batch, each with statistics of its own; a chunk as large as
the batch makes it the usual one. The maps of a CIFAR net's first stage outgrow a CPU's cache, so
that time goes with how often they are read. The results agree with PyTorch's to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from resnet_repro.kernels.library import LANES, available, call, last


def _sizes(x: Tensor, chunks: int) -> tuple[int, int, int, bool]:
    """Chunks, rows of a chunk, channels, and whether x is bfloat16."""
    channels = x.shape[1]
    rows = x.numel() // (channels * chunks) if chunks else 0
    return chunks, rows, channels, x.dtype == torch.bfloat16


class _BatchNormReLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        residual: Tensor | None,
        eps: float,
        chunk: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, weight, bias = last(x), weight.contiguous(), bias.contiguous()
        residual = None if residual is None else last(residual)
        out = torch.empty_like(x, memory_format=torch.channels_last)
        means = weight.new_empty((len(x) // chunk, len(weight)))
        variances = torch.empty_like(means)
        call(
            "batch_norm_relu",
            *(x, residual, weight, bias, out, means, variances, *_sizes(x, len(means)), eps),
        )
        # Where ReLU let the signal through is told by the output, or without residual by x.
        kept = None if residual is None else out
        ctx.save_for_backward(x, weight, bias, means, variances, kept)
        ctx.eps = eps
        ctx.mark_non_differentiable(means, variances)
        return out, means, variances

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, dout: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, means, variances, out = ctx.saved_tensors
        dout, dx = last(dout), torch.empty_like(x, memory_format=torch.channels_last)
        dresidual = None if out is None else torch.empty_like(dx)
        dweight, dbias = torch.empty_like(weight), torch.empty_like(bias)
        call(
            "batch_norm_relu_gradient",
            *(dout, x, out, weight, bias, means, variances, dx, dresidual, dweight, dbias),
            *(*_sizes(x, len(means)), ctx.eps),
        )
        return dx, dweight, dbias, dresidual, None, None


def supports(x: Tensor) -> bool:
    """Whether `batch_norm_relu` takes this input.

    That is (N, C, H, W) on a CPU with the kernels, float32 or bfloat16, channels by eights.
    """
    return (
        x.device.type == "cpu"
        and x.ndim == 4
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.shape[1] % LANES == 0
        and available()
    )


def batch_norm_relu(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, eps: float, chunk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """relu(normalised x * weight + bias + residual) over consecutive chunks of the batch.

    x and residual: (N, C, H, W) of one type, which `supports` accepts; weight and bias: (C,),
    float32; `chunk` images, a divisor of N, share statistics. Returns the output in x's type,
    channels last, and the chunks' means and biased variances, (N / chunk, C), float32, without
    gradient. Computes in float32. Raises ValueError for other inputs.
    """
    if not supports(x):
        raise ValueError(f"no kernel for {x.dtype} {tuple(x.shape)} on {x.device}")
    if chunk < 1 or len(x) % chunk:
        raise ValueError(f"{len(x)} images are not chunks of {chunk}")
    if residual is not None and (residual.shape, residual.dtype) != (x.shape, x.dtype):
        raise ValueError(f"the residual is not like x: {residual.dtype} {tuple(residual.shape)}")
    for a in (weight, bias):
        if a.shape != x.shape[1:2] or a.dtype != torch.float32:
            raise ValueError(f"weight and bias are {x.shape[1]} of float32, not {a.dtype}")
    return _BatchNormReLU.apply(  # type: ignore[no-any-return, no-untyped-call, unused-ignore]
        x, weight, bias, residual, eps, chunk
    )
