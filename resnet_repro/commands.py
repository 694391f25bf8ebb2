"""The commands that repeat a thing, as records hold them and reports name them.

Folders of data, results and caches are the user's own, and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

PROGRAM = "python -m resnet_repro"


def run_command(
    artifact: str,
    arm: str,
    seed: int,
    protocol: str,
    *,
    iterations: int | None = None,
    dataset: str | None = None,
    corrupt: str = "fail",
    changes: Iterable[tuple[str, str]] = (),
) -> str:
    """What trains one run; what is as it is by default is left out."""
    words = [PROGRAM, "run", artifact, "--arms", arm, "--seeds", str(seed), "--protocol", protocol]
    if iterations is not None:
        words += ["--iterations", str(iterations)]
    if dataset is not None:
        words += ["--dataset", dataset]
    if corrupt != "fail":
        words += ["--corrupt", corrupt]
    for name, value in changes:
        words += ["--set", f"{name}={value}"]
    return " ".join(words)


def study_command(name: str, runs: Iterable[object]) -> str:
    """What studies runs, given by their folders."""
    return " ".join([PROGRAM, "study", name, *(f"--run {run}" for run in runs)])


def evaluate_command(
    runs: Iterable[object],
    crops: str,
    *,
    networks: Iterable[tuple[str, str]] = (),
    options: Mapping[str, object] | None = None,
) -> str:
    """What evaluates networks with weights, and runs given by their folders."""
    words = [PROGRAM, "evaluate"]
    words += [f"--arch {network} --weights {weights}" for network, weights in networks]
    words += [f"--run {run}" for run in runs]
    words.append(f"--crops {crops}")
    words += [f"--{name} {value}" for name, value in (options or {}).items()]
    return " ".join(words)
