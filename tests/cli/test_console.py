"""What a record's text may do to a terminal: nothing."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from resnet_repro.cli import main
from resnet_repro.cli.console import console, print_rows
from resnet_repro.markup import printable

HOSTILE = [
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("\x9b2J", "\\x9b2J"),
    ("over\rwritten", "over\\rwritten"),
    ("a\u202eb", "a\\u202eb"),
    ("\udcff", "\\udcff"),
    ("one\ntwo", "one\\ntwo"),
    ("one\ttwo", "one\\ttwo"),
]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("text", "shown"), HOSTILE, ids=ascii)
def test_a_cell_is_shown_and_not_obeyed(text: str, shown: str, terminal: bool) -> None:
    out = io.StringIO()
    target = Console(file=out, force_terminal=terminal, width=80, color_system=None, markup=False)
    print_rows(target, "Runs", ("run",), [(text,)])
    assert shown in out.getvalue()
    assert text not in out.getvalue()


@pytest.mark.parametrize(("text", "shown"), HOSTILE[:6], ids=ascii)
def test_a_line_is_shown_and_not_obeyed(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console().print(f"{text}\nend", highlight=False, soft_wrap=True)
    assert capsys.readouterr().out == f"{shown}\nend\n"


@pytest.mark.parametrize("text", ["\x1b[31m", "\x9b2J", "\u202e"], ids=ascii)
def test_an_error_is_shown_and_not_obeyed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", f"resnet{text}"]) == 2
    error = capsys.readouterr().err
    assert text not in error
    assert error.startswith("error: ")


@given(st.text(st.characters()))
def test_nothing_of_any_text_is_a_control_character(text: str) -> None:
    shown = printable(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C"]
    shown.encode()
    if not any(unicodedata.category(c)[0] == "C" for c in text):
        assert shown == text
