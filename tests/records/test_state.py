"""The state of a run's folder, whatever lies in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_repro.monitor.snapshot import look
from resnet_repro.paper import artifacts
from resnet_repro.records.lease import LOCK, SILENT, held
from resnet_repro.records.state import run_state
from resnet_repro.sweep import plan, status
from tests.conftest import silent
from tests.helpers.records import Fake, lease_elsewhere, write

FAKE = Fake("resnet20", 12.0, 10.0, protocol="quarter", rows=4)


def unfinished(folder: Path) -> None:
    (folder / "result.json").unlink()


def half(folder: Path) -> None:
    unfinished(folder)
    lines = (folder / "metrics.csv").read_text().splitlines(keepends=True)
    (folder / "metrics.csv").write_text("".join(lines[:3]))


def without_rows(folder: Path) -> None:
    unfinished(folder)
    (folder / "metrics.csv").unlink()


def killed(folder: Path) -> None:
    """Its lock's file stays behind."""
    half(folder)
    (folder / LOCK).touch()


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


def too_far(folder: Path) -> None:
    unfinished(folder)
    replaced("metrics.csv", "\n16000,", "\n17000,")(folder)


def no_number(folder: Path) -> None:
    unfinished(folder)
    replaced("metrics.csv", "\n16000,", "\nmany,")(folder)


def elsewhere(folder: Path) -> None:
    folder.rename(folder.with_name("other"))
    write(folder.parents[3], Fake("resnet20", protocol="quarter", seed=1))
    folder.with_name("seed1").rename(folder)


def nothing(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


CASES: list[tuple[Callable[[Path], object], str, int]] = [
    (lambda folder: None, "done", 16_000),
    (nothing, "missing", 0),
    (half, "partial", 8_000),
    (without_rows, "partial", 0),
    (killed, "partial", 8_000),
    (replaced("spec.json", "fan_out", "fan_in"), "broken", 0),
    (replaced("result.json", '"test_error": 12.0', '"test_error": -1'), "broken", 0),
    (replaced("execution.json", '"threads": 1', '"threads": "one"'), "broken", 0),
    (too_far, "broken", 0),
    (no_number, "broken", 0),
    (elsewhere, "broken", 0),
]


@pytest.mark.parametrize(("make", "state", "iteration"), CASES)
def test_plan_and_status_say_what_the_folder_says(
    tmp_path: Path, make: Callable[[Path], object], state: str, iteration: int
) -> None:
    write(tmp_path, FAKE)
    folder = FAKE.run.folder(tmp_path)
    make(folder)
    found = run_state(FAKE.run, folder)
    assert (found.state, found.iteration, bool(found.detail)) == (
        *(state, iteration),
        state == "broken",
    )
    rows = {row["seed"]: row for row in status.status(tmp_path)["runs"]}
    if state != "missing":
        assert (rows[0]["state"], rows[0]["detail"]) == (state, found.detail)
    request = plan.Request(
        artifacts.load("fig6").artifact, ("resnet20",), protocol="quarter", results=tmp_path
    )
    [planned] = plan.plan(request, "cpu")
    # A made-up spec is not the recipe's own, so that what can be read is another run's.
    known = state in ("missing", "broken")
    assert planned.state == (state if known else "conflict")


def test_a_diverged_run(tmp_path: Path) -> None:
    write(tmp_path, Fake("resnet20", None, None, protocol="quarter", status="diverged"))
    found = run_state(FAKE.run, FAKE.run.folder(tmp_path))
    assert (found.state, found.iteration, found.test_error) == ("diverged", 16_000, None)


def test_a_run_under_way_is_one_to_all(tmp_path: Path) -> None:
    write(tmp_path, FAKE)
    folder = FAKE.run.folder(tmp_path)
    half(folder)
    with held(folder, silent):
        assert run_state(FAKE.run, folder).state == "under way"
        assert look(folder).state == "under way"
        assert status.status(tmp_path)["runs"][0]["state"] == "under way"
    assert run_state(FAKE.run, folder).state == "partial"
    lease = lease_elsewhere(folder)
    assert run_state(FAKE.run, folder).state == "under way"
    then = lease.stat().st_mtime - SILENT - 1
    os.utime(lease, (then, then))
    assert run_state(FAKE.run, folder).state == "partial"


@pytest.mark.timeout(60)
def test_a_fifo_in_the_place_of_the_lock_is_no_process(tmp_path: Path) -> None:
    write(tmp_path, FAKE)
    folder = FAKE.run.folder(tmp_path)
    half(folder)
    os.mkfifo(folder / LOCK)
    assert run_state(FAKE.run, folder).state == "partial"
