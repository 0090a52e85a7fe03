"""The jobs of one event that wait for a slot."""

from __future__ import annotations

import time
from bisect import insort
from collections import deque
from collections.abc import Callable

from job_item.settings import Job
from worker.journal import Journal, Waiting

LINE_LENGTH = 128


class Line:
    """The jobs of one event that wait: the first of them in memory, the rest in the journal.

    `spec` is what is in force for the event, or was when it was configured last.
    """

    def __init__(self, spec: Job) -> None:
        self.spec = spec
        self.running = 0
        self._waiting: deque[Waiting] = deque()
        self._read_to = 0
        self._more = True

    def grow(self) -> None:
        """The journal has a new job for this line."""
        self._more = True

    def free(self, slots: int) -> int:
        """How many of so many more jobs would not have to wait here."""
        if self._waiting or self._more:
            return 0
        return slots if self.spec.concurrency is None else min(slots, max(0, self.spec.concurrency - self.running))

    def put_back(self, waiting: Waiting) -> None:
        """A job that has to be given a slot again: it stands where it came in."""
        insort(self._waiting, waiting)  # by its number, which comes first

    def take(self, journal: Journal, postpone: Callable[[Waiting, float], None]) -> Waiting | None:
        """The next job that may start now; None when there is none or the event's own slots are taken."""
        if self.spec.concurrency is not None and self.running >= self.spec.concurrency:
            return None
        if not self._waiting and self._more:
            self._read(journal, postpone)
        return self._waiting.popleft() if self._waiting else None

    def take_more(self, limit: int) -> list[Waiting]:
        """Those that come right behind the one that was taken, as far as they are in memory, none of them on loan."""
        more: list[Waiting] = []
        while self._waiting and len(more) < limit and not self._waiting[0].is_leased:
            more.append(self._waiting.popleft())
        return more

    def _read(self, journal: Journal, postpone: Callable[[Waiting, float], None]) -> None:
        now = time.time()
        while self._more and not self._waiting:
            rows = journal.waiting(self.spec.event, self._read_to, LINE_LENGTH)
            self._more = len(rows) == LINE_LENGTH
            for row in rows:
                self._read_to = row.seq
                if row.not_before is not None and row.not_before > now:
                    # The journal has the moment by the wall clock, which may have been set since: the pause is no
                    # longer than any pause of this job can be.
                    postpone(row, min(row.not_before - now, self.spec.retries.backoff_max))
                else:
                    self._waiting.append(row)
