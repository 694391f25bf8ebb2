"""Numbers in environment variables."""

from __future__ import annotations

import os

from resnet_repro.errors import UserError


def from_environment(name: str, default: int) -> int:
    """The whole number in an environment variable; the default where it is unset or empty.

    Raises UserError for anything else.
    """
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()):
        raise UserError(f"{name}={text}: give a whole number, as torchrun does, or unset it")
    return int(text)
