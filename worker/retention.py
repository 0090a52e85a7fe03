"""What of the past is kept: ended jobs go, the oldest first, until age, number and output are as `keep` says."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from worker.journal import Ended, Journal

if TYPE_CHECKING:
    from job_item.nodespec import Keep

SLICE = 200
"""Jobs that are dropped at once: a few milliseconds of the journal's time."""

DAY_S = 86_400.0

DRIFT_S = 10.0
"""How far the two clocks may part between two looks, as they do when the wall clock is corrected bit by bit."""

DOUBT_S = 3_600.0
"""How long a clock that was set is not believed: whoever set it wrong may notice, and set it back."""


@dataclass(frozen=True, slots=True)
class Excess:
    """What is beyond the bounds: jobs that ended before a moment, so many jobs, so many bytes of output."""

    ended_before: float
    jobs: int
    log_bytes: int


def overdue(oldest: Iterable[Ended], excess: Excess) -> list[Ended]:
    """Choose what to drop of the jobs that ended first, in that order."""
    jobs, log_bytes = excess.jobs, excess.log_bytes

    def goes(job: Ended) -> bool:
        nonlocal jobs, log_bytes
        if job.finished_at >= excess.ended_before and jobs <= 0 and log_bytes <= 0:
            return False
        jobs -= 1
        log_bytes -= job.log_bytes
        return True

    return list(takewhile(goes, oldest))


class ClockWatch:
    """Watches whether the wall clock goes as the monotonic one does; jobs do not grow old by a clock that was set."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._doubted_until_s = 0.0

    def trusted(self, wall_s: float, monotonic_s: float) -> float | None:
        """The moment by the wall clock; None for `DOUBT_S` after it has moved by itself."""
        ahead_s, before_s = wall_s - monotonic_s, self._ahead_s
        self._ahead_s = ahead_s
        if before_s is not None and abs(ahead_s - before_s) > DRIFT_S:
            self._doubted_until_s = monotonic_s + DOUBT_S
        return None if monotonic_s < self._doubted_until_s else wall_s


async def prune(journal: Journal, keep: Keep, now: float | None, remove_logs: Callable[[Sequence[Ended]], None]) -> int:
    """Drop what is not to be kept and return how many jobs that were.

    `now` is seconds since the epoch; None where the clock is in doubt: then none is dropped for its age. `remove_logs`
    deletes the output of some jobs; it is called in a thread, and before the journal forgets them, so that a kill in
    between leaves no file that nobody knows. Raises `Unavailable` when the journal cannot be written.
    """
    dropped = 0
    ended_before = -math.inf if now is None else now - keep.days * DAY_S
    while True:
        excess = Excess(ended_before, journal.ended - keep.jobs, journal.log_bytes - keep.log_bytes)
        jobs = overdue(journal.oldest_ended(SLICE), excess)
        if jobs:
            await asyncio.to_thread(remove_logs, jobs)
            dropped += await journal.forget([job.task_id for job in jobs])
        if len(jobs) < SLICE:
            return dropped
