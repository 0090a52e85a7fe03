"""How a job on loan goes back to its broker: acknowledged, as a dead letter, or for somebody else.

It is acknowledged when the journal has its result, and only while it is certain that it is still ours; what is to be
said of it waits in the journal until the broker has confirmed that. So of two nodes that ran the same job one has a
say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.job import Status
from job_item.log import get
from worker.brokers.queues import Expired, Queues
from worker.brokers.session import Session
from worker.journal import Journal, Pledge
from worker.lease import Lease, queues_of
from worker.letters import Letter, write_letter

PAUSE_S = 0.1
JOURNAL_PAUSE_S = 1.0


class Returns:
    """Gives jobs back to the broker. `grow` says that the outbox has more; `node` is who is named in dead letters."""

    def __init__(self, session: Session, journal: Journal, grow: Callable[[], None], node: str) -> None:
        self._session = session
        self._journal = journal
        self._grow = grow
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._logger = get("worker")

    async def conclude(self, lease: Lease, *, is_dead: bool) -> None:
        """Let the broker forget a job that is over, with a dead letter where it is one, then let its end be said.

        Nothing is done for a lease that may be somebody else's: who gets it next decides.
        """
        while not lease.is_over(self._loop.time()):
            try:
                queues = queues_of(await self._session.connected())
                if is_dead:
                    await self._bury(queues, lease.task_id, lease.event, lease.loan.round)
                    is_dead = False
                if lease.loan.until_s > self._loop.time():
                    await queues.accept(lease.loan)
                    await self.own(lease.task_id)
                return
            except Expired:
                return
            except NodeError as error:
                self._logger.warning("job.unacknowledged", task_id=lease.task_id, code=error.code, reason=error.message)
                await asyncio.sleep(PAUSE_S)

    async def give_back(self, lease: Lease) -> None:
        """Let somebody else have a job at once, with the count of its attempts."""
        record = self._journal.record(lease.task_id)
        runs = record.attempt - self._journal.spent(lease.task_id) if record is not None else lease.loan.runs
        try:
            if not lease.is_over(self._loop.time()):
                await queues_of(await self._session.connected()).give_back(lease.loan, runs)
                self._logger.info("job.given_back", task_id=lease.task_id, job_event=lease.event)
        except NodeError as error:  # it is lent again when its term is over
            self._logger.warning("job.kept_back", task_id=lease.task_id, code=error.code, reason=error.message)

    async def leave(self, task_id: str) -> bool:
        """Write down that a job is left, however long that takes; tells whether it waited."""
        while True:
            try:
                return await self._journal.leave(task_id, time.time())
            except Unavailable:
                await asyncio.sleep(JOURNAL_PAUSE_S)

    async def redeem(self, queues: Queues, subject: str, pledge: Pledge) -> None:
        """End the loan of a process that is dead, as it would have. Raises NodeError."""
        record = self._journal.record(pledge.task_id)
        if record is None:  # forgotten just now
            return
        is_done = record.status.is_final and record.status is not Status.LEFT
        if is_done and record.is_dead:
            await self._bury(queues, pledge.task_id, pledge.event, pledge.round)
        if await queues.redeem(subject, pledge.pledge, pledge.until_s, is_done=is_done) and is_done:
            await self.own(pledge.task_id)

    async def own(self, task_id: str) -> None:
        """The broker has forgotten a job: let be said what was held back of it."""
        while True:
            try:
                await self._journal.own(task_id)
                break
            except Unavailable as error:
                self._logger.error("job.unowned", task_id=task_id, code=error.code, reason=error.message)
                await asyncio.sleep(JOURNAL_PAUSE_S)
        self._grow()

    async def _bury(self, queues: Queues, task_id: str, event: str, turn: int) -> None:
        """Add a dead letter. One that the broker never takes is none: the end of its job is to be told all the same."""
        try:
            await queues.bury(task_id, self._letter(task_id, event, turn))
        except BadMessage as error:
            self._logger.error("letter.refused", task_id=task_id, code=error.code, reason=error.message)

    def _letter(self, task_id: str, event: str, turn: int) -> bytes:
        record = self._journal.record(task_id)
        body = self._journal.body(task_id) or b"{}"
        code, error, attempts = ("ERR-DLV-004", "", 0)
        if record is not None:
            code, error, attempts = record.error_code or code, record.error or error, record.attempt
        return write_letter(Letter(task_id, event, body, code, error, attempts, time.time(), self._node, turn))
