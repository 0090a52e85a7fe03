"""What a process that died had on loan from the broker: ended by the one that comes after it.

Where the broker can be told, what was over is acknowledged, and all else comes again at once. Where it cannot, all
comes again within a term, and what was over is acknowledged then (`worker.sources.durable`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from job_item.errors import NodeError
from job_item.hardware.query import first_line
from job_item.log import get
from worker.brokers.session import Session
from worker.journal import Journal, Pledge
from worker.lease import queues_of
from worker.returns import Returns

BOOT = Path("/proc/sys/kernel/random/boot_id")
AT_ONCE = 64
"""Loans that are ended at the same time."""
LATE = 1.5
"""Terms after which what was not lent again was acknowledged, or is somebody else's."""


class Inheritance:
    """Taken once, at the start of a process.

    Parameters: `term_s`, within which all that is on loan comes again by itself; `is_held` tells whether a job has come
    again, by its task id.
    """

    def __init__(
        self, session: Session, journal: Journal, returns: Returns, *, term_s: float, is_held: Callable[[str], bool]
    ) -> None:
        self.boot = first_line(BOOT)
        """By whose clock the terms of loans are kept."""
        self._session = session
        self._journal = journal
        self._returns = returns
        self._term_s = term_s
        self._is_held = is_held
        self._is_free = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._logger = get("worker")

    def take(self, subject_of: Callable[[str], str]) -> None:
        """End the loans, and let be said what was held back of the jobs whose acknowledgement had arrived.

        `subject_of` names the queue of an event.
        """
        for task_id in self._journal.unsaid():
            self._spawn(self._say_late(task_id))
        if self.boot and (pledges := self._journal.pledges(self.boot)):
            self._spawn(self._redeem(pledges, subject_of))
        else:
            self._is_free.set()

    async def freed(self) -> None:
        """Return when the broker was told: the jobs are there for whoever asks.

        No later than after a term, in which they come again by themselves.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._term_s):
                await self._is_free.wait()

    async def stop(self) -> None:
        """Leave the rest to the next process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _redeem(self, pledges: Sequence[Pledge], subject_of: Callable[[str], str]) -> None:
        """Tried once: what the broker does not hear of comes again within a term."""
        try:
            queues = queues_of(await self._session.connected())
            for start in range(0, len(pledges), AT_ONCE):
                some = pledges[start : start + AT_ONCE]
                await asyncio.gather(*(self._returns.redeem(queues, subject_of(one.event), one) for one in some))
        except NodeError as error:
            self._logger.warning("leases.unreleased", code=error.code, reason=error.message)
        finally:
            self._is_free.set()

    async def _say_late(self, task_id: str) -> None:
        await self._session.connected()
        await asyncio.sleep(self._term_s * LATE)
        if not self._is_held(task_id):
            await self._returns.own(task_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._logger.error("lease.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
