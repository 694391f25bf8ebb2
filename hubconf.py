"""What `torch.hub.load(FOLDER, "resnet20", source="local")` finds in a checkout.

Each network whose weights the suite's records keep, trained on CIFAR-10, with its preprocessing:
images (N, 3, 32, 32) of 0 ... 255, bytes or floats, to logits (N, 10). `net.classes` names them.
Nothing is downloaded. `protocol` asks for another than the paper's, or the nearest to it.
"""

from __future__ import annotations

from resnet_repro.evaluate.recorded import Classifier as _Classifier
from resnet_repro.evaluate.recorded import load_network as _load

dependencies = ["torch", "numpy", "safetensors", "msgspec"]


def plain20(protocol: str | None = None) -> _Classifier:
    """Plain net of 20 layers."""
    return _load("plain20", protocol)


def plain32(protocol: str | None = None) -> _Classifier:
    """Plain net of 32 layers."""
    return _load("plain32", protocol)


def plain44(protocol: str | None = None) -> _Classifier:
    """Plain net of 44 layers."""
    return _load("plain44", protocol)


def plain56(protocol: str | None = None) -> _Classifier:
    """Plain net of 56 layers."""
    return _load("plain56", protocol)


def resnet20(protocol: str | None = None) -> _Classifier:
    """Residual net of 20 layers."""
    return _load("resnet20", protocol)


def resnet32(protocol: str | None = None) -> _Classifier:
    """Residual net of 32 layers."""
    return _load("resnet32", protocol)


def resnet44(protocol: str | None = None) -> _Classifier:
    """Residual net of 44 layers."""
    return _load("resnet44", protocol)


def resnet56(protocol: str | None = None) -> _Classifier:
    """Residual net of 56 layers."""
    return _load("resnet56", protocol)
