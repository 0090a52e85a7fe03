"""How many jobs the journal has in each status, kept in memory so that nobody has to count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from job_item.job import Status


class Change(NamedTuple):
    """One job goes from a status to another (None: it comes, or is forgotten); `log_bytes` is what that adds."""

    before: Status | None
    after: Status | None
    log_bytes: int = 0


class Tally:
    """The counts."""

    def __init__(self, counts: dict[Status, int], log_bytes: int) -> None:
        self._counts = {status: counts.get(status, 0) for status in Status}
        self.log_bytes = log_bytes
        """Bytes of output of all jobs that have ended, as their results say."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Follow what was committed."""
        for before, after, log_bytes in changes:
            if before is not None:
                self._counts[before] -= 1
            if after is not None:
                self._counts[after] += 1
            self.log_bytes += log_bytes

    def counts(self) -> dict[Status, int]:
        """Jobs by status."""
        return dict(self._counts)

    @property
    def ended(self) -> int:
        """Jobs that have ended."""
        return sum(number for status, number in self._counts.items() if status.is_final)
