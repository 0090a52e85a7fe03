"""`--help` of a command, as it was kept when the release was made: to load typer takes longer than the help may.

`make docs` writes the texts to `supervisor/helps/` with the very renderer that answers otherwise; a test holds them
against each other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parent / "helps"
WIDTH = 80
"""The texts are of this many columns, the most that a help takes; a narrower terminal has them laid out anew."""


def kept_help(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """The help that a command line asks for; None where it asks for none, or for one that is to be laid out anew.

    Parameters: `words`, all that follows the name of the program.
    """
    if not words or words[-1] not in ("--help", "-h") or "COLUMNS" in environ or _columns() < WIDTH:
        return None
    try:
        return file_of(words[:-1]).read_text(encoding="utf-8")
    except (OSError, ValueError):  # no command of ours
        return None


def file_of(commands: Sequence[str]) -> Path:
    """Where the help of a command is kept. Raises `ValueError` for what cannot be the name of one."""
    if any("/" in word or "." in word for word in commands):
        raise ValueError
    return FOLDER / ("-".join(("job_item", *commands)) + ".txt")


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return WIDTH
