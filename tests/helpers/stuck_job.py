"""A process of `--jobs` that does not heed being asked to stop."""

from __future__ import annotations

import signal
import time
from typing import Any


def stuck(job: Any, data: Any, events: Any, wandb: str) -> None:
    """In the place of the launcher's `_child`: sleeps for ever, and says when it does."""
    from resnet_repro.sweep.launcher import Event

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    events.put(Event(job.run, "say", "asleep"))
    while True:
        time.sleep(1)
