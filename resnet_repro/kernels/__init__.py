"""Own CPU kernels for what PyTorch's general operations leave on the table.

A model's parameters, their names and the state dict stay as they are whoever computes them, and
so do evaluation mode and other devices.
"""

from __future__ import annotations

from torch import nn

from resnet_repro.kernels import winograd
from resnet_repro.kernels.library import available

__all__ = ["available", "use_winograd"]


def use_winograd(model: nn.Module) -> None:
    """Compute those of `model`'s 3x3 convolutions by Winograd's algorithm that it is for."""
    for module in model.modules():
        if winograd.fits(module):
            module.__class__ = winograd.WinogradConv2d
