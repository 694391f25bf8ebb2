"""The command under torchrun, each process with a data folder of its own: FOLDER/<rank>."""

from __future__ import annotations

import os
import sys

from resnet_repro.cli import main

if __name__ == "__main__":
    folder, *words = sys.argv[1:]
    raise SystemExit(main([*words, "--data-root", f"{folder}/{os.environ['RANK']}"]))
