"""What the documents name is there: files, modules, targets of make, links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO

DOCUMENTS = [*REPO.glob("README*.md"), REPO / "CONTRIBUTING.md", *sorted(REPO.glob("docs/*.md"))]
SUFFIXES = r"py|md|toml|txt|ya?ml|json|csv|cpp|h|ipynb|js|css|j2|html|svg|png|safetensors"
PATH = re.compile(
    rf"[\w.-]+(?:/[\w.-]+)*\.(?:{SUFFIXES})|[\w.-]+(?:/[\w.-]+)*/|[\w.-]+(?:/[\w.-]+)+"
)
MODULE = re.compile(r"(?:resnet_repro|benchmarks)(?:\.[a-z]\w*)+")


def git(*words: str) -> list[str]:
    run = subprocess.run(["git", *words], cwd=REPO, capture_output=True, text=True, check=False)
    return run.stdout.splitlines()


@pytest.fixture(scope="module")
def pieces() -> set[str]:
    """Every piece of a path in the repository: `recipe.py`, `train/recipe.py`, `train`."""
    found: set[str] = set()
    for line in git("ls-files", "--cached", "--others", "--exclude-standard"):
        parts = line.split("/")
        found.update(
            "/".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)
        )
    return found


def code(text: str) -> Iterator[str]:
    """The words in backticks and in indented or fenced blocks."""
    for span in re.findall(r"`([^`\n]+)`|^    (.+)$", text, re.MULTILINE):
        for part in span:
            yield from part.split("#")[0].split()


def is_path(word: str) -> bool:
    """Whether it names a file or folder for sure: by its ending or by where it begins.

    What holds a placeholder (`<artifact>`, `NAME`, `*`), leads out of the repository or into the
    environment beside it is none.
    """
    if not PATH.fullmatch(word) or word.startswith(("..", ".venv")) or "NAME" in word:
        return False
    first = word.split("/")[0]
    here = (REPO / first).exists() or (REPO / "resnet_repro" / first).exists()
    return here or bool(re.search(rf"\w\.(?:{SUFFIXES})$", word))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_and_modules_exist(document: Path, pieces: set[str]) -> None:
    text = document.read_text(encoding="utf-8")
    words = {word.strip("`,;:()\"'").rstrip(".").removeprefix("./") for word in code(text)}
    gone = {word for word in words if is_path(word) and word.rstrip("/") not in pieces}
    gone -= {word for word in gone if git("check-ignore", word, f"{word}/")}  # made
    for name in MODULE.findall(text):
        path = name.replace(".", "/")
        if not {f"{path}.py", f"{path}/__init__.py", path} & pieces:
            gone.add(name)
    assert not gone


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    inside = [target for target in targets if "://" not in target]
    assert [t for t in inside if not (document.parent / t).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_targets_of_make_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", sorted(REPO.glob("README*.md")), ids=lambda path: path.name)
def test_snippets_run(
    document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand, at the top of a checkout."""
    monkeypatch.chdir(REPO)
    snippets = re.findall(r"^```python\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)
    assert len(snippets) == 1
    for snippet in snippets:
        exec(compile(snippet, document.name, "exec"), {})
    assert "cifar10/resnet20/" in capsys.readouterr().out
