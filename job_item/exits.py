"""How the processes of the node end: their exit codes (architecture, section 8)."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """128+n, a drain cut short by the signal n, is not in the list."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    UNAVAILABLE = 69
    BUG = 70
    RESTART = 75
    CASCADE = 76
    CONFIGURATION = 78
