"""The model card says what its record says, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_repro.records import store
from resnet_repro.records.card import model_card
from tests.helpers.records import Fake, write


@pytest.mark.parametrize("dirty", [False, True])
def test_uncommitted_changes_are_said_once(tmp_path: Path, dirty: bool) -> None:
    write(tmp_path, Fake("resnet20", dirty=dirty))
    (record,) = store.read_records(tmp_path)
    assert model_card(record, 8.0, "paper", "").count("uncommitted changes") == dirty
