"""Messages: English that can be said in another language, and catalogues that hold all of it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.messages import Message, _, joined, translated
from resnet_repro.paths import LOCALE

REPO = Path(__file__).resolve().parent.parent


def test_the_catalogues_hold_every_message_translated() -> None:
    command = [sys.executable, ".ci/messages", "--check"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_check_names_what_is_not_translated(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "messages").write_bytes((REPO / ".ci" / "messages").read_bytes())
    folder = tmp_path / "resnet_repro" / "locale" / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "resnet_repro" / "some.py").write_text('A = _("{n} rows")\nB = _("rows")\n')
    catalogue = folder / "resnet_repro.po"
    catalogue.write_text('msgid "rows"\nmsgstr "R"\n\nmsgid "gone"\nmsgstr "G"\n')
    command = [sys.executable, ".ci/messages"]

    def run(*options: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    status, said = run("--check")
    assert status == 1
    assert "not translated: {n} rows" in said
    assert "out of date" in said
    status, said = run()
    assert status == 0
    assert "gone" not in catalogue.read_text()
    assert 'msgid "rows"\nmsgstr "R"' in catalogue.read_text()
    catalogue.write_text(catalogue.read_text().replace('rows"\nmsgstr ""', 'rows"\nmsgstr "{m} R"'))
    assert "other braces" in run("--check")[1]


def test_a_message_is_its_english_and_keeps_what_it_was_made_from() -> None:
    said = _("{n:,} rows of {what}", n=64_000, what="plain-20")
    assert said == "64,000 rows of plain-20"
    assert said.message == "{n:,} rows of {what}"
    assert isinstance(joined(", ", [said, "other"]), Message)
    assert joined("; ", ["a", "", "b", "c"]) == "a; b; c"
    assert joined("; ", []) == ""


@given(st.lists(st.text(min_size=1)), st.sampled_from(["; ", ", ", " or ", " and ", " "]))
def test_joined_messages_read_as_joined_text(parts: list[str], joint: str) -> None:
    assert joined(joint, parts) == joint.join(parts)


@given(st.text())
def test_any_text_can_fill_a_message(text: str) -> None:
    """Braces in what fills a message are none of its own."""
    said = _("{what}, {unit}", what=text, unit="%")
    assert said == f"{text}, %"
    found = translated(said, "zh_CN")
    assert found is not None
    assert found.startswith(text) or translated(text, "zh_CN")


def test_what_fills_a_message_is_translated_too() -> None:
    said = _("{what}, {unit}", what=_("test error"), unit="%")
    assert translated(said, "zh_CN") == "测试误差，%"  # noqa: RUF001


@pytest.mark.parametrize("text", ["", "No such sentence.", _("No such sentence of {n}.", n=1)])
def test_without_a_translation_there_is_none(text: str) -> None:
    assert translated(text, "zh_CN") is None


def test_every_language_lies_in_the_package() -> None:
    assert [p.parts[-3] for p in LOCALE.glob("*/LC_MESSAGES/resnet_repro.mo")] == ["zh_CN"]


def test_a_message_travels_between_processes() -> None:
    said = _("{n:,} rows", n=1000)
    again = pickle.loads(pickle.dumps(said))
    assert (again, again.message, again.arguments) == (said, said.message, said.arguments)
