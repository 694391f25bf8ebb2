"""3x3 convolutions on a CPU with a quarter of the multiplications (Winograd's F(4x4, 3x3)).

A CIFAR net spends most of its time in 3x3 convolutions of stride 1, and on a CPU without matrix
units these are limited by arithmetic. The results agree with PyTorch's to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from resnet_repro.kernels.library import LANES, call, last

# Channels up to which the kernel is used. Every block of tiles reads the transformed weights of
# all channels, four times as many bytes as the weights: those of 512 channels come from memory
# each time, and PyTorch's convolution is faster (docs/performance.md).
WIDEST = 256


def _convolve(x: Tensor, weight: Tensor, turned: bool) -> Tensor:
    """(N, C, H, W) and weights (K, C, 3, 3) to (N, K, H, W), in x's type, channels last.

    `turned`: (N, K, H, W) to (N, C, H, W), by the transposed convolution.
    """
    (n, c, h, w), k = x.shape, weight.shape[1 if turned else 0]
    y = x.new_empty((n, h, w, k))
    call("winograd_convolution", x, weight, y, n, h, w, c, k, turned, x.dtype == torch.bfloat16)
    return y.permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x, weight = last(x), last(weight)
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, False)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dy, (n, c, h, w) = last(dy), x.shape
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _convolve(dy, weight, True)
        if ctx.needs_input_grad[1]:
            dw, bf16 = torch.empty_like(weight), x.dtype == torch.bfloat16
            call("winograd_weight_gradient", x, dy, dw, n, h, w, c, dy.shape[1], bf16)
        return dx, dw


class WinogradConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 1 computed by the kernel on a CPU.

    Maps are float32, or under autocast to bfloat16 bfloat16; weights and all arithmetic are
    float32. Elsewhere (another type, another device) it is Conv2d.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and self.weight.dtype == torch.float32:
            maps = torch.float32
            if torch.is_autocast_enabled("cpu"):
                maps = torch.get_autocast_dtype("cpu")
                x = x.to(maps) if x.dtype == torch.float32 else x
            if x.dtype == maps != torch.float16:
                return _Convolution.apply(x, self.weight)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]
        return super().forward(x)


def fits(module: nn.Module) -> bool:
    """Whether the kernel is for this module.

    That is 3x3, stride 1, padding 1, and channels by eights, WIDEST at most.
    """
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == module.padding == (1, 1)
        and module.groups == 1
        and module.bias is None
        and module.in_channels % LANES == module.out_channels % LANES == 0
        and max(module.in_channels, module.out_channels) <= WIDEST
    )
