"""What of the past is kept: ended jobs go, the oldest first, until age, number and output are as `keep` says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from worker.journal import Ended, Journal

if TYPE_CHECKING:
    from job_item.settings import Keep

SLICE = 200
"""Jobs that are dropped at once: a few milliseconds of the journal's time."""

DAY_S = 86_400.0


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


async def prune(journal: Journal, keep: Keep, now: float, remove_logs: Callable[[Sequence[Ended]], None]) -> int:
    """Drop what is not to be kept and return how many jobs that were; `now` is seconds since the epoch.

    `remove_logs` deletes the output of some jobs; it is called in a thread, and before the journal forgets them, so
    that a kill in between leaves no file that nobody knows. Raises `Unavailable` when the journal cannot be written.
    """
    dropped = 0
    while True:
        excess = Excess(now - keep.days * DAY_S, journal.ended - keep.jobs, journal.log_bytes - keep.log_bytes)
        jobs = overdue(journal.oldest_ended(SLICE), excess)
        if jobs:
            await asyncio.to_thread(remove_logs, jobs)
            dropped += await journal.forget([job.task_id for job in jobs])
        if len(jobs) < SLICE:
            return dropped
