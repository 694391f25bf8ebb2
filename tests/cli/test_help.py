"""What `--help` says of names that are defined elsewhere, and how little it loads to say it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resnet_repro.cli import main
from resnet_repro.records.datasets import DATASETS
from resnet_repro.train.recipe import IMAGE_PROTOCOLS, PROTOCOLS
from tests.conftest import REPO, environment


@pytest.mark.parametrize(
    ("command", "names"),
    [("run", (*PROTOCOLS, *IMAGE_PROTOCOLS, *DATASETS)), ("data", tuple(DATASETS))],
)
def test_every_name_is_in_the_help(
    command: str,
    names: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([command, "--help"]) == 0
    words = capsys.readouterr().out.replace(",", " ").replace(";", " ").replace(".", " ").split()
    assert set(names) <= set(words)


def test_help_loads_no_torch() -> None:
    code = (
        "import sys; from resnet_repro.cli import main; main(['run', '--help']); "
        "sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, env=environment(), capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
