"""One way to ask the machine: what does not answer is `Unknown`, with a code of the register, and never fatal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from job_item.errors import NodeError

Answer = TypeVar("Answer")

ROOT = Path("/")


class Unknown(NodeError):  # noqa: N818 - it is the machine that does not know
    """What was asked cannot be found out here (ERR-HST-001)."""


def ask(what: str, query: Callable[[], Answer]) -> Answer:
    """Ask the machine. Raises `Unknown`, which names `what` could not be found out and why."""
    try:
        return query()
    except Unknown:
        raise
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        raise Unknown("ERR-HST-001", f"The {what} of this machine cannot be found out: {reason}.") from error


def first_line(path: Path) -> str:
    """The first line of a file, empty where it has none or cannot be read."""
    return next(iter(lines(path)), "")


def lines(path: Path) -> list[str]:
    """The lines of a file, none where it cannot be read. Not for files that must be there."""
    try:
        return path.read_text(errors="replace").split("\n")
    except OSError:
        return []
