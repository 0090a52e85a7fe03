"""How many jobs the journal has in each status, kept in memory so that nobody has to count more than once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from typing import NamedTuple

from job_item.job import Status


class Change(NamedTuple):
    """One job goes from a status to another (None: it comes, or is forgotten); `log_bytes` is what that adds."""

    before: Status | None
    after: Status | None
    log_bytes: int = 0


class Start(NamedTuple):
    """What the journal held when it was opened."""

    counts: dict[Status, int]
    log_bytes: int


def count(db: sqlite3.Connection) -> Start:
    """Count everything: some 20 ms for 100,000 jobs, without Python's lock."""
    counts = db.execute("SELECT status, count(*) FROM tasks GROUP BY status").fetchall()
    row = db.execute("SELECT coalesce(sum(log_bytes), 0) FROM tasks WHERE finished_at IS NOT NULL").fetchone()
    return Start({Status(status): number for status, number in counts}, row[0])


class Tally:
    """The counts: `start` is filled in by the writer while the rest of the process starts; who asks earlier waits."""

    def __init__(self) -> None:
        self.start: Future[Start] = Future()
        self._changes: Counter[Status | None] = Counter()
        self._log_bytes = 0

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow what was committed."""
        for before, after, log_bytes in changes:
            self._changes[before] -= 1
            self._changes[after] += 1
            self._log_bytes += log_bytes

    def counts(self) -> dict[Status, int]:
        """Jobs by status."""
        start = self.start.result().counts
        return {status: start.get(status, 0) + self._changes[status] for status in Status}

    def number(self, status: Status) -> int:
        """Jobs in one status: a fifth of the time that it takes to tell all."""
        return self.start.result().counts.get(status, 0) + self._changes[status]

    @property
    def ended(self) -> int:
        """Jobs that have ended."""
        return sum(number for status, number in self.counts().items() if status.is_final)

    @property
    def log_bytes(self) -> int:
        """Bytes of output of all jobs that have ended, as their results say."""
        return self.start.result().log_bytes + self._log_bytes
