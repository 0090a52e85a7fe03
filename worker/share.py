"""Share data: texts that the scripts of a task, and execs, leave for each other (protocol job-item.md, section 7).

They are kept in the journal, so that a job whose worker was killed finds in its next attempt what the one before had
left, as it does after a failure; and in memory, where they are read. What has a time to live is there for that time by
the monotonic clock. All data of a task go one to two `LINGER_S` after its end; those of an id that is no task of this
node, one to two `LINGER_S` after the last addition.
"""

from __future__ import annotations

import asyncio
import time
from itertools import count

from job_item import log
from job_item.errors import Unavailable
from worker.journal import Journal, Share
from worker.shelves import Shelves

GATHER_S = 1.0
"""What expires within this time is dropped from the journal together."""


class Shares:
    """The share data of a node, in its journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._shelves: Shelves | None = None
        self._numbers = count(1)
        self._dropped: list[int] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._dropping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """See to what an earlier incarnation left; a journal that cannot be read now is read when it is needed."""
        try:
            self._opened()
        except Unavailable as error:
            log.get("worker").error("shares.unread", code=error.code, reason=error.message)

    async def stop(self) -> None:
        """Do nothing more by itself."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._dropping is not None:
            await asyncio.wait({self._dropping})

    async def add(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:
        """Add a text, durably. Raises `BadMessage` when the task, `Unavailable` when the node has no room for it."""
        shelves = self._opened()
        self._dropped += shelves.expire(self._loop.time())
        expires_at = None if ttl_s is None else time.time() + ttl_s
        share = Share(next(self._numbers), task_id, key, data, ttl_s, expires_at)
        if refusal := shelves.refusal(share):
            raise refusal
        shelves.reserve(share)
        try:
            await self._journal.share(share)
        except BaseException:
            shelves.reserve(share, -1)
            raise
        self._look_at(shelves.put(share, self._loop.time(), ttl_s))

    def texts(self, task_id: str, key: str) -> list[str]:
        """The texts under a key of a task, oldest first."""
        return self._opened().texts(task_id, key, self._loop.time())

    def _opened(self) -> Shelves:
        """What is shared; read from the journal the first time, which raises `Unavailable` when it cannot be read."""
        if self._shelves is None:
            shares = self._journal.shares()
            self._shelves = Shelves()
            self._numbers = count(shares[-1].number + 1 if shares else 1)
            for share in shares:
                self._shelves.reserve(share)
                self._look_at(self._shelves.put(share, self._loop.time(), rest_of(share, time.time())))
        return self._shelves

    def _look_at(self, at_s: float | None) -> None:
        """Look after everything at this moment, or a little later; an earlier look that is set already will do."""
        if at_s is None or (self._alarm is not None and self._alarm.when() <= at_s + GATHER_S):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(at_s + GATHER_S, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        shelves, now_s = self._opened(), self._loop.time()
        self._dropped += shelves.expire(now_s)
        for task_id in shelves.due(now_s):
            self._dropped += shelves.see(task_id, self._is_over(task_id), now_s)
        if self._dropped and self._dropping is None:
            self._dropping = self._loop.create_task(self._drop())
        self._look_at(shelves.next_s())

    def _is_over(self, task_id: str) -> bool:
        try:
            record = self._journal.record(task_id)
        except Unavailable:
            return False  # seen at the next look
        return record is None or record.status.is_final

    async def _drop(self) -> None:
        """Drop what is gone from the journal too; what it does not take now is tried again."""
        numbers, self._dropped = self._dropped, []
        try:
            await self._journal.unshare(numbers)
        except Unavailable as error:
            log.get("worker").error("shares.undropped", code=error.code, reason=error.message)
            self._dropped += numbers
        self._dropping = None
        if self._dropped:
            self._look_at(self._loop.time())


def rest_of(share: Share, now: float) -> float | None:
    """How long it has still to live, by the wall clock, for it may have been another boot of the machine that left it.

    A clock that was set back does not make it live longer than it should have in all.
    """
    if share.ttl_s is None or share.expires_at is None:
        return None
    return min(max(share.expires_at - now, 0.0), share.ttl_s)
