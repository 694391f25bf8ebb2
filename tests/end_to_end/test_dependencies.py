"""What pyproject.toml declares and what the requirements pin are the same packages."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement

from tests.conftest import REPO

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def parsed(lines: Iterable[str]) -> dict[str, Requirement]:
    texts = (line.split("#")[0].strip() for line in lines)
    found = [Requirement(text) for text in texts if text and not text.startswith("-")]
    return {requirement.name: requirement for requirement in found}


@pytest.mark.parametrize(
    ("pins", "declared"),
    [
        ("requirements.txt", PROJECT["dependencies"] + EXTRAS["wandb"]),
        ("requirements-dev.txt", EXTRAS["dev"]),
        ("requirements-teach.txt", EXTRAS["teach"]),
        ("requirements-docs.txt", EXTRAS["docs"]),
    ],
)
def test_each_pin_is_of_a_declared_package_and_new_enough(pins: str, declared: list[str]) -> None:
    pinned, wanted = parsed((REPO / pins).read_text().splitlines()), parsed(declared)
    assert pinned.keys() == wanted.keys()
    for name, requirement in pinned.items():
        [exact] = requirement.specifier
        assert exact.operator == "=="
        assert wanted[name].specifier.contains(exact.version)
