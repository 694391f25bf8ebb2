"""The one exception that is the user's to mend, and words that several of its kind share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: one line with what is wrong and what would be right.

    The command prints the message on standard error and exits with status 2;
    everything else is a defect of ours and keeps its traceback.
    """

    told = False  # whether another process of the same run prints it


def one_of(name: str, known: Iterable[str]) -> str:
    """What to give in place of an unknown name: the nearest one, if there is one, and all."""
    names = list(known)
    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    meant = f"did you mean {folded[near[0]]}? " if near else ""
    return f"{meant}give one of {', '.join(names)}"
