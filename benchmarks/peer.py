"""Another copy's networks, from a checkout that the user names."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from torch import nn

from resnet_repro.errors import UserError

FILE = "resnet.py"


def peer_builder(checkout: Path, network: str) -> Callable[[], object]:
    """The function `network` of `checkout`/resnet.py, as in akamaster/pytorch_resnet_cifar10.

    Runs the file: only for a checkout that the user asked for. Raises UserError when it is
    missing, cannot be loaded, or has no such function.
    """
    path = checkout.expanduser() / FILE
    if not path.is_file():
        raise UserError(f"--peer {checkout}: there is no {FILE}; give the checkout's folder")
    spec = importlib.util.spec_from_file_location("_benchmarked_peer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file does wrong
        raise UserError(f"--peer {checkout}: {FILE} cannot be loaded: {error!r}") from error
    function = getattr(module, network, None)
    if not callable(function):
        raise UserError(f"--peer {checkout}: {FILE} has no function {network}()")
    return function  # type: ignore[no-any-return]


def build_peer(checkout: Path, network: str) -> nn.Module:
    """The peer's network. Raises UserError as `peer_builder`, and when it builds none."""
    try:
        model = peer_builder(checkout, network)()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"--peer {checkout}: {network}() failed: {error!r}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"--peer {checkout}: {network}() returned no torch.nn.Module")
    return model
