"""How far a large file has come: a bar where somebody looks, else a line now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from job_item.bar import bar
from job_item.storage.seam import Watch

LARGE_BYTES = 64 << 20
INTERVAL_S = 10.0
"""Between two lines of the log."""


@contextmanager
def displayed(what: str, name: str, size_bytes: int, watch: Watch | None) -> Iterator[Watch]:
    """Give who is to be told of each block: `watch` where somebody watches already, else nobody for a small file."""
    if watch is not None:
        yield watch
    elif size_bytes < LARGE_BYTES:
        yield _nobody
    elif sys.stderr is not None and sys.stderr.isatty():
        with bar(name) as shown:
            yield shown
    else:
        yield Lines(f"{what} of {name}", time.monotonic, logging.getLogger("job_item.storage").info)


class Lines:
    """Says how far a file has come, each `INTERVAL_S` and at the end if anything was said before.

    Parameters: `what` is done; `now`, a monotonic clock in seconds; `say`, who takes a line.
    """

    def __init__(self, what: str, now: Callable[[], float], say: Callable[[str], None]) -> None:
        self._what = what
        self._now = now
        self._say = say
        self._begun_s = now()
        self._due_s = self._begun_s + INTERVAL_S
        self._has_spoken = False

    def __call__(self, done_bytes: int, size_bytes: int) -> None:
        """Take note of so many bytes of all."""
        now_s = self._now()
        if now_s < self._due_s and not (self._has_spoken and done_bytes == size_bytes):
            return
        mib, rate = 1 << 20, done_bytes / (now_s - self._begun_s)
        self._say(f"{self._what}: {done_bytes / mib:,.0f} of {size_bytes / mib:,.0f} MiB, {rate / mib:,.1f} MiB/s")
        self._has_spoken = True
        self._due_s = now_s + INTERVAL_S


def _nobody(_done_bytes: int, _size_bytes: int) -> None:
    """Is told, and says nothing."""
