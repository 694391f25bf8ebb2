"""What the notebooks share, so that a cell reads as the idea it shows."""

from resnet_repro.notebook.answers import check_block, conclude, exercise
from resnet_repro.notebook.pictures import bars, draw_block, lesioned, plot, show
from resnet_repro.notebook.records import recorded
from resnet_repro.notebook.training import RATE, Trained, train, train_seeds, training_error

__all__ = [
    "RATE",
    "Trained",
    "bars",
    "check_block",
    "conclude",
    "draw_block",
    "exercise",
    "lesioned",
    "plot",
    "recorded",
    "show",
    "train",
    "train_seeds",
    "training_error",
]
