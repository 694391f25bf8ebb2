"""JSON and text from disk, whatever lies in their place: one line that names the file."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnet_repro.errors import UserError
from resnet_repro.records import files
from resnet_repro.records.files import is_file, parse_json, read_json, read_text, write_json

BAD = {
    "empty": (b"", "not whole JSON"),
    "cut": (b'{"a": ', "not whole JSON"),
    "behind": (b"{} {}", "not whole JSON"),
    "no UTF-8": (b'{"a": "\xff"}', "is not text"),
    "mark": (b"\xef\xbb\xbf{}", "not whole JSON"),
    "list": (b"[]", "holds no JSON object"),
    "NaN": (b'{"a": NaN}', "not whole JSON"),
    "infinity": (b'{"a": -Infinity}', "not whole JSON"),
    "1e400": (b'{"a": [1e400]}', "too large for a float"),
    "-1e400": (b'{"a": -1e400}', "too large for a float"),
    "65 bits": (b'{"a": 9223372036854775808}', "more than 64 bits"),
    "400 digits": (b'{"a": ' + b"9" * 400 + b"}", "more than 64 bits"),
    "5000 digits": (b'{"a": -' + b"9" * 5000 + b"}", "more than 64 bits"),
    "surrogate": (b'{"a": "\\ud800"}', "half of a surrogate"),
    "surrogate in a key": (b'{"\\udc00": 1}', "half of a surrogate"),
    "key twice": (b'{"a": 1, "a": 1}', "'a' stands twice"),
    "key twice within": (b'{"b": [{"a": 1, "\\u0061": 2}]}', "'a' stands twice"),
    "33 levels": (b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}", "more than 32 deep"),
    "900 levels": (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", "more than 32 deep"),
    "100,000 levels": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "more than 32 deep"),
    "large": (b'{"a": "' + b" " * files.MAX_JSON_BYTES + b'"}', "more than 16,777,216 bytes"),
}


def refused(path: Path, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD)
def test_json_that_is_refused(tmp_path: Path, name: str) -> None:
    content, says = BAD[name]
    path = tmp_path / "spec.json"
    path.write_bytes(content)
    refused(path, says)


PLACES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "no regular file"),
    "fifo": (lambda path: os.mkfifo(path), "no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "no regular file"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links"),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.timeout(60)  # opening a fifo would wait for ever
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    make, says = PLACES[name]
    path = tmp_path / "spec.json"
    make(path)
    refused(path, says)
    with pytest.raises(UserError, match=says):
        read_text(path)
    assert not is_file(path)


@pytest.mark.parametrize("name", ["a" * 300, "nul\0"])
def test_a_name_no_file_can_have(tmp_path: Path, name: str) -> None:
    refused(tmp_path / name, "cannot read")
    assert not is_file(tmp_path / name)


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "own.json", {"a": 1})
    (tmp_path / "link.json").symlink_to("own.json")
    assert read_json(tmp_path / "link.json") == {"a": 1}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
trees = st.recursive(
    plain, lambda x: st.lists(x, max_size=3) | st.dictionaries(texts, x, max_size=3), max_leaves=12
)


@given(value=st.dictionaries(texts, trees, max_size=4))
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


def test_what_the_suite_keeps_beside_a_checksum_may_hold_what_python_writes() -> None:
    value = {"loss": float("inf"), "name": "\udcff", "words": 2**64}
    assert parse_json(json.dumps(value), "a checkpoint", own=True) == value
    for text in ('{"a": 1, "a": 2}', "[" * 40 + "]" * 40):
        with pytest.raises(UserError, match=r"^a checkpoint: "):
            parse_json(text, "a checkpoint", own=True)


def test_a_clean_up_that_fails_does_not_hide_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up and then turns read-only."""

    def refuse(number: int) -> Callable[..., None]:
        def call(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        return call

    monkeypatch.setattr(os, "fsync", refuse(errno.ENOSPC))
    monkeypatch.setattr(os, "unlink", refuse(errno.EROFS))
    with pytest.raises(UserError, match=r"cannot write .*: No space left"):
        files.write_atomic(tmp_path / "a", b"content")
