"""The command in odd surroundings: environment variables, encodings, full disks, paths, lists."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.cli import main
from resnet_repro.cli.options import as_path, names, numbers
from resnet_repro.environment import from_environment
from resnet_repro.errors import UserError
from tests.conftest import REPO, environment


def command(
    *words: str, env: Mapping[str, str], **options: object
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "resnet_repro", *words],
        cwd=REPO,
        env=env,
        stderr=subprocess.PIPE,
        check=False,
        **({"stdout": subprocess.PIPE} | options),
    )


@pytest.mark.parametrize("columns", ["0", "-3", "many"])
def test_a_width_that_is_none_counts_as_unset(columns: str) -> None:
    done = command("list", env=environment() | {"COLUMNS": columns})
    assert done.returncode == 0
    assert b"table6" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_written_out(encoding: str) -> None:
    done = command("compare", "table6", env=environment() | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"")
    plus_minus = b"\\xb1" if encoding == "ascii" else b"\xb1"
    assert b"6.61 " + plus_minus + b" 0.16" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [("list",), ("list", "--json")])
def test_output_that_cannot_be_written_is_said_in_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = command(*words, env=environment(), stdout=full)
    assert done.returncode == 2
    assert done.stderr == b"error: output: No space left on device\n"


NOBODY = """
import pwd, sys

def missing(number):
    raise KeyError(number)

pwd.getpwuid = missing
from resnet_repro.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", [("--help",), ("list",), ("run", "demo", "--dry-run")])
def test_a_user_without_a_home_or_an_entry_can_use_it(words: tuple[str, ...]) -> None:
    env = {k: v for k, v in environment().items() if k not in ("HOME", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, *words], cwd=REPO, env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_path_option_knows_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/x") == tmp_path / "x"
    out = tmp_path / "counts.json"
    assert main(["describe", "resnet20", "--out", "~/counts.json"]) == 0
    assert out.is_file()
    for words in (
        ("status", "--results-dir"),
        ("data", "digits", "--data-root"),
        ("verify", "--results-dir"),
    ):
        assert main([*words, "~nobody-of-this-name/x"]) == 2
        assert capsys.readouterr().err == (
            "error: ~nobody-of-this-name/x: there is no such home folder: give the path in full\n"
        )


@pytest.mark.parametrize(("text", "value"), [("", 1), ("3", 3)])
def test_a_number_in_the_environment(
    text: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", text)
    assert from_environment("WORLD_SIZE", 1) == value


@pytest.mark.parametrize("text", ["auto", "-1", "1.5", "\u0664"])
def test_an_environment_that_holds_no_number_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", text)
    assert main(["run", "demo", "--dry-run", "--protocol", "smoke"]) == 2
    told = capsys.readouterr().err
    assert told == f"error: WORLD_SIZE={text}: give a whole number, as torchrun does, or unset it\n"


def test_lists_take_spaces_empty_places_and_ranges() -> None:
    assert names(" a, b,,c ,a") == ("a", "b", "c")
    assert numbers("0, 2-4,3,", "--seeds") == (0, 2, 3, 4)
    assert numbers("", "--seeds") == ()


@pytest.mark.parametrize("text", ["a", "1.5", "4-2", "1-", "-1", "0-99999999", "1 2", "\u0664"])
def test_what_is_no_list_of_numbers_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"--seeds .* such as 0-4"):
        numbers(text, "--seeds")


@given(st.lists(st.integers(0, 10**9 - 1), max_size=20))
def test_a_written_list_reads_as_itself(values: list[int]) -> None:
    assert numbers(",".join(map(str, values)), "--seeds") == tuple(dict.fromkeys(values))
