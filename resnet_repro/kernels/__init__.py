"""Own CPU kernels for what PyTorch's general operations leave on the table.

`use_kernels(model)` lets them compute what they fit; parameters, their names and the state dict
stay as they are, and so do evaluation mode, other number types and other devices.
"""

from __future__ import annotations

from torch import nn

from resnet_repro.kernels import batch_norm, winograd
from resnet_repro.kernels.library import available

__all__ = ["available", "use_kernels"]


def use_kernels(model: nn.Module) -> None:
    """Compute `model`'s convolutions and batch normalisations by the kernels that fit them."""
    for module in model.modules():
        if winograd.fits(module):
            module.__class__ = winograd.WinogradConv2d
        elif batch_norm.fits(module):
            module.__class__ = batch_norm.FusedBatchNorm2d
