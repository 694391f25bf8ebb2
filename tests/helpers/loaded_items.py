"""Items for processes that load: apart from the tests, as each such process imports this module."""

from __future__ import annotations

import time
from typing import Any

from resnet_repro.errors import UserError


class Keys:
    """Items that do as their key says."""

    def __getitem__(self, key: Any) -> Any:
        if key == "bad":
            raise UserError("the file bad is no image: replace it")
        if key == "defect":
            raise RuntimeError("ours")
        if key == "stuck":
            time.sleep(3600)
        return key
