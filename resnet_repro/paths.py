"""Where the suite's own files are, in a checkout and in an installed package alike.

Experiment scripts and recorded results lie at the top of a checkout; in a wheel they travel below
`resnet_repro/suite` (setup.py). What a user makes never goes there: in a checkout it goes to its
`results/local` and `figures`, else to a folder `resnet-repro` where the command is given.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
INSTALLED = (PACKAGE / "suite").is_dir()
ROOT = PACKAGE / "suite" if INSTALLED else PACKAGE.parent
EXPERIMENTS = ROOT / "experiments"
RECORDED = ROOT / "results" / "recorded"
LOCALE = PACKAGE / "locale"

_OWN = Path("resnet-repro") if INSTALLED else ROOT
LOCAL = _OWN / "results" / "local"
TABLES = _OWN / "results" / "tables"
FIGURES = _OWN / "figures"
