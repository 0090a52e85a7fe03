"""Draws from the queue of one event: as many jobs at a time as there are free slots, on one connection after the other.

What comes together is taken together, so that the journal has it with one commit.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from worker import subjects
from worker.brokers.queues import Loan, Queue
from worker.brokers.seam import Connection, Delivery
from worker.brokers.session import Session
from worker.brokers.wish import Wish
from worker.intake import Intake
from worker.lease import queues_of
from worker.leases import Leases
from worker.sources.trigger import read_trigger

REFUSED_PAUSE_S = 5.0
PAUSE_S = 0.05
NOT_OPEN = "its queue is not open yet"


class Draw:
    """Draws from the queue of one event, on one connection after the other."""

    def __init__(
        self,
        session: Session,
        intake: Intake,
        leases: Leases,
        event: str,
        take: Callable[[Connection, Sequence[Loan]], Coroutine[Any, Any, None]],
        share: Callable[[int], int],
    ) -> None:
        """Parameters: `take` takes what was lent; `share` says how many of so many free slots are for this event."""
        self.subject = subjects.trigger(intake.board.standing.settings.project, event)
        self.lack = NOT_OPEN
        """Why there is no queue, in words; empty where there is one."""
        self._session = session
        self._intake = intake
        self._leases = leases
        self._event = event
        self._take = take
        self._share = share
        self._queue: Queue | None = None
        self._bypass: Wish | None = None
        self._over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work())

    def end(self) -> None:
        """Take no more; what is being taken is taken."""
        self._over.set()

    def widen(self) -> None:
        """Tell the queue how many jobs on loan wait for another attempt."""
        if self._queue is not None:
            running = frozenset(task_id for task_id, _ in self._intake.dispatcher.running())
            self._queue.widen(self._leases.resting(self._event, running))

    async def stop(self) -> None:
        """Return when nothing more is taken, and what had come besides is given back."""
        self.end()
        if self._bypass is not None:
            await self._bypass.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while not self._over.is_set():
            connection = await self._unless_over(self._session.connected())
            if connection is None:
                return
            try:
                await self._draw(connection)
            except Unavailable:  # mostly the connection is lost, and known to be so
                await self._unless_over(_lost(connection, REFUSED_PAUSE_S))
            except NodeError as error:
                self.lack = error.message
                get("worker").error("queue.refused", code=error.code, subject=self.subject, reason=error.message)
                await self._unless_over(_lost(connection, REFUSED_PAUSE_S))
            except Exception as bug:
                get("worker").error("queue.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
                await self._unless_over(_lost(connection, REFUSED_PAUSE_S))

    async def _draw(self, connection: Connection) -> None:
        queues = queues_of(connection)
        if queues.is_bypassed and self._bypass is None:
            project = self._intake.board.standing.settings.project
            self._bypass = self._session.subscribe(self.subject, project, self._put_in)
        queue = self._queue = await queues.open(self.subject, self._slots())
        self.lack = ""
        try:
            await self._unless_over(self._leases.inheritance.freed())
            while (room := await self._room(connection)) and not self._over.is_set():
                loans = await self._unless_over(queue.borrow(room))
                if loans is None:
                    return
                await self._take(connection, loans)
        finally:
            self._queue, self.lack = None, NOT_OPEN
            await queue.close()

    async def _room(self, connection: Connection) -> int:
        """Wait until jobs would start at once, or may be such that run here already; returns how many.

        0 when this is over before.
        """
        dispatcher = self._intake.dispatcher
        while not (free := dispatcher.free(self._event)) and not self._leases.is_bereft(self._event):
            slot: asyncio.Future[Any] = asyncio.ensure_future(dispatcher.slot(self._event, math.inf))
            over: asyncio.Future[Any] = asyncio.ensure_future(self._over.wait())
            try:
                await asyncio.wait({slot, over, connection.lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                slot.cancel()
                over.cancel()
            if connection.lost.done():
                raise Unavailable("ERR-BRK-002", connection.lost.result())
            if self._over.is_set():
                return 0
        return max(1, self._share(free))

    async def _put_in(self, delivery: Delivery) -> None:
        """A job that somebody has published past the queue."""
        try:
            trigger = read_trigger(delivery.body)
            connection = await self._session.connected()
            await queues_of(connection).put(self.subject, trigger.task_id, delivery.body)
        except NodeError as error:
            get("worker").warning("trigger.lost", code=error.code, subject=self.subject, reason=error.message)
            await delivery.refuse()
            return
        await delivery.accept()

    def _slots(self) -> int:
        standing = self._intake.board.standing
        slots, spec = standing.settings.limits.concurrency, standing.specs.get(self._event)
        return slots if spec is None or spec.concurrency is None else min(slots, spec.concurrency)

    async def _unless_over(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await something; None when this is over before."""
        over, task = asyncio.ensure_future(self._over.wait()), asyncio.ensure_future(work)
        try:
            await asyncio.wait({over, task}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            over.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


async def _lost(connection: Connection, limit_s: float) -> None:
    """Wait for the loss of a connection, or for so long; then give whoever keeps it a turn to see that."""
    await asyncio.wait({connection.lost}, timeout=limit_s)
    await asyncio.sleep(PAUSE_S)
