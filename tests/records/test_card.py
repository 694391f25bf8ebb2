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


def test_what_a_record_says_ends_no_cell_and_commands_no_terminal(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet20", device_name="a\x1b[31m|\n---\nlicense: x [y](//evil.example)"))
    (record,) = store.read_records(tmp_path)
    (line,) = (
        line
        for line in model_card(record, 8.0, "paper", "").splitlines()
        if line.startswith("| device |")
    )
    assert line == r"| device | a\x1b[31m\| --- license: x [y]\(//evil.example), fp32 |"
