"""Shared by all tests: small data, a finished smoke run, where real CIFAR-10 may lie."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from torch import nn

from resnet_repro.data import load
from resnet_repro.data.dataset import Dataset, make_split
from resnet_repro.errors import UserError
from resnet_repro.models.construct import construct

REPO = Path(__file__).resolve().parents[1]
REAL_CIFAR10 = REPO.parent / "shared" / "data" / "cifar10"

# Loaded machines stretch single examples; how long one takes says nothing.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _no_ambient_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests must not find a user's own data or commit by accident."""
    monkeypatch.delenv("RESNET_REPRO_DATA", raising=False)
    monkeypatch.delenv("RESNET_REPRO_COMMIT", raising=False)


@pytest.fixture
def tiny_data() -> Dataset:
    """300 training and 40 test images of noise, 3 x 32 x 32, ten classes."""
    rng = np.random.default_rng(0)

    def split(count: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        return images, np.arange(count, dtype=np.int64) % 10

    return Dataset(
        "cifar10",
        make_split(*split(300)),
        make_split(*split(40)),
        tuple(str(n) for n in range(10)),
    )


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The embedded data set."""
    return load("digits")


@pytest.fixture(scope="module")
def _one_thread() -> Iterator[None]:
    """For small tensors, where a second thread costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def _no_handler_of_torchs() -> Iterator[None]:
    """Without the signal handler that a DataLoader of another test's may have left."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGCHLD, before)


def skeleton(name: str) -> nn.Module:
    """A network's shapes without its values."""
    with torch.device("meta"):
        return construct(name)


def refused(call: Callable[[], object], *words: str) -> None:
    """Check that `call` raises UserError with one line that holds all the words."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def silent(text: str) -> None:
    """Tell nobody."""


def environment(**extra: str) -> dict[str, str]:
    """The environment for a subprocess: this one's, the repository importable."""
    return {**os.environ, "PYTHONPATH": str(REPO), "PYTHONUNBUFFERED": "1", **extra}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked gpu run wherever CUDA is and are skipped elsewhere; notebooks come first.

    They take longest, and would keep one of several processes busy at the end.
    """
    items.sort(key=lambda item: item.path.name != "test_notebooks.py")
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
