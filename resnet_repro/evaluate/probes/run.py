"""What `study` does: it looks into recorded CIFAR networks and files what it finds beside them.

Nothing is trained. A study takes the weights a record keeps, which are in half precision, and for
its beginning the same weights drawn again from the recipe's seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from resnet_repro.commands import study_command
from resnet_repro.data.dataset import Dataset
from resnet_repro.errors import UserError, one_of
from resnet_repro.evaluate.imagenet import weights
from resnet_repro.evaluate.probes import deepening, lesions, shattering, shortcut_signal
from resnet_repro.evaluate.probes.subject import Settings, Subject, Values, load_subject
from resnet_repro.evaluate.recorded import cifar_record, load_pixels
from resnet_repro.records import evaluations, provenance
from resnet_repro.records.evaluations import Evaluation
from resnet_repro.runtime.device import Device, computing, executed

DIGITS = 6  # after the point of what is filed

# By the name it is filed under; what it files is declared in records/probes.py.
MEASURES: dict[str, Callable[[Subject], tuple[Settings, Values]]] = {
    "lesions": lesions.measure,
    "gradients": shattering.measure,
    "identity": deepening.measure,
    "path": shortcut_signal.measure,
}
Say = Callable[[str], None]


def study(
    name: str, runs: Sequence[Path], data_root: Path | None, device: Device, say: Say
) -> list[tuple[Evaluation, Path]]:
    """Make one of the studies of each recorded run; what came out, and where it was filed.

    Raises UserError for another name, for a run that is none of a CIFAR network, is unfinished,
    keeps no weights or was changed, for data other than a run's, and for a network that the study
    does not suit.
    """
    if name not in MEASURES:
        raise UserError(f"unknown study '{name}': {one_of(name, MEASURES)}")
    if not runs:
        raise UserError("give a recorded run: --run <results>/<dataset>/<arm>/<protocol>/seed0")
    records = [cifar_record(folder) for folder in runs]
    for record in records:
        weights.kept_weights(record)  # before minutes are spent on another
    found = []
    data: Dataset | None = None
    with computing(device):
        for record in records:
            started = provenance.utc_now()
            if data is None or data.name != record.spec.dataset:
                data = load_pixels(record.spec.dataset, data_root)
            say(f"{record.run}: {name}")
            settings, values = MEASURES[name](load_subject(record, data, device))
            evaluation = Evaluation(
                name=name,
                spec_hash=record.spec.hash,
                settings=settings | {"dataset": data.name, "dataset_digest": data.digest},
                values={key: _rounded(value) for key, value in values.items()},
                execution=executed(device, started, study_command(name, [record.run])),
            )
            path = evaluations.write_evaluation(record.folder, evaluation)
            found.append((evaluation, path))
    return found


def _rounded(value: object) -> object:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value
