"""A gate: jobs that hold slots until they are let go, without a cycle of processor time in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Gate:
    """A FIFO that this process holds open. A job whose command is `pass_command` ends with the next byte in it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    @property
    def pass_command(self) -> list[str]:
        """The command of a job that waits here."""
        return ["head", "-c", "1", str(self.path)]

    def let_go(self, jobs: int) -> None:
        """Let so many jobs end, those that have yet to arrive too."""
        os.write(self._descriptor, b"." * jobs)

    def close(self) -> None:
        """Take the gate away."""
        os.close(self._descriptor)


@contextmanager
def gate_at(path: Path) -> Iterator[Gate]:
    """A gate for as long as the context lasts."""
    gate = Gate(path)
    try:
        yield gate
    finally:
        gate.close()
