"""Which code ran, when, on what processor."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from resnet_repro.paths import INSTALLED, ROOT

PACKAGES = ("torch", "torchvision", "numpy", "safetensors")


def utc_now() -> str:
    """The time as ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def commit() -> tuple[str, bool]:
    """The commit of this source tree and whether tracked files differ from it.

    A copy without git names its commit in RESNET_REPRO_COMMIT, an installed package its version;
    otherwise it is `unknown`.
    """
    told = os.environ.get("RESNET_REPRO_COMMIT")
    if told:
        return told, False
    if INSTALLED:
        return f"package {metadata.version('resnet-repro')}", False

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return "unknown", False
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


def versions() -> dict[str, str]:
    """Python's version and those of the packages that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def processor_name() -> str:
    """The processor's model name, as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
