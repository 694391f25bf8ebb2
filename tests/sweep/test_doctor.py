"""What the machine and installation can do, as `doctor` finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnet_repro.errors import one_of
from resnet_repro.kernels import library
from resnet_repro.sweep import doctor


def findings(root: Path, **folders: Path) -> dict[str, doctor.Finding]:
    return {one.what: one for one in doctor.examine(root, tuple(folders.items()))}


def test_everything_is_looked_at(tmp_path: Path) -> None:
    found = findings(tmp_path, records=tmp_path / "new" / "folder")
    for name in ("python", "torch", "processor", "CPU kernels", "CUDA", "memory", "`auto` chooses"):
        assert found[name].found
    assert found["CIFAR-10"].found == "not found"
    assert "--download" in found["CIFAR-10"].advice
    assert found["records"].found.endswith("can be written")
    assert list(tmp_path.iterdir()) == []  # it is tried without leaving anything


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = findings(tmp_path, records=tmp_path / "file" / "below")
    assert found["records"].advice == "give another folder"


def test_photographs_are_counted_and_not_unpacked(tmp_path: Path) -> None:
    for split, classes in (("train", 3), ("val", 2)):
        for i in range(classes):
            (tmp_path / split / f"n{i}").mkdir(parents=True)
    assert findings(tmp_path)["photographs"].found == f"{tmp_path}: class folders, 3 + 2 classes"


def test_kernels_that_were_not_built_are_advised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "instruction_sets", tuple)
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    assert "C++ compiler" in findings(tmp_path)["CPU kernels"].advice


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tabel6", "did you mean table6? give one of fig1, table6"),
        ("FIG1", "did you mean fig1? give one of fig1, table6"),
        ("x", "give one of fig1, table6"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, says: str) -> None:
    assert one_of(name, ["fig1", "table6"]) == says
