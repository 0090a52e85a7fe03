"""The jobs that are on loan from a broker: kept alive while they are this node's, given up when they are not.

Theory of operation. Each job on loan has a `Lease` and a task that keeps it (`worker.tenure`), whatever the job itself
is doing: running, waiting for another attempt, or over and not acknowledged yet. `worker.returns` gives it back to its
broker. A job whose lease is lost for good is killed, and what it came to does not count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from job_item.errors import Unavailable
from job_item.job import Status
from job_item.log import get
from worker.brokers.queues import Loan
from worker.brokers.seam import Connection
from worker.brokers.session import Session
from worker.inheritance import Inheritance
from worker.journal import Journal
from worker.lease import Lease
from worker.returns import Returns
from worker.tenure import Tenure


class Leases:
    """All jobs on loan (`worker.seams.Lessor`).

    Parameters: `term_s`, how long a bereft job runs on; `grow` says that the outbox has more; `node` is who is named
    in dead letters.
    """

    def __init__(
        self,
        session: Session,
        journal: Journal,
        *,
        term_s: float,
        grow: Callable[[], None],
        node: str,
    ) -> None:
        self._journal = journal
        self.kill: Callable[[str], bool] = lambda _: False
        """Ends a running job at once; tells whether there was one."""
        self._returns = Returns(session, journal, grow, node)
        self.inheritance = Inheritance(
            session, journal, self._returns, term_s=term_s, is_held=lambda task_id: task_id in self._leases
        )
        """What a process that died had on loan."""
        self._tenure = Tenure(session, self._returns, journal, term_s=term_s, lose=self._lose, forget=self._forget)
        self.on_rest: Callable[[str], None] = lambda _: None
        """Called with the event of a job that waits for another attempt."""
        self.on_left: Callable[[str], None] = lambda _: None
        """Called with the task id of a job that waited here and is given up."""
        self._leases: dict[str, Lease] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._logger = get("worker")

    def hold(self, task_id: str, event: str, loan: Loan, connection: Connection, keep_s: float) -> None:
        """A job was lent to this node, or lent again."""
        lease = self._leases.get(task_id)
        if lease is not None and not lease.is_lost:
            lease.loan, lease.connection = loan, connection
            lease.keep_until_s = self._loop.time() + keep_s
            lease.returned.set()
            return
        lease = Lease(task_id, event, loan, connection, self._loop.time() + keep_s)
        self._leases[task_id] = lease
        lease.keeper = self._spawn(self._tenure.keep(lease))

    def has(self, task_id: str) -> bool:
        """Whether a job is on loan to this node, as far as is known."""
        lease = self._leases.get(task_id)
        return lease is not None and not lease.is_lost

    async def lost(self, task_id: str) -> None:
        """Return when nothing is left of a lease that was lost or given up."""
        while (lease := self._leases.get(task_id)) is not None and self.is_lost(task_id):
            await lease.gone.wait()

    def is_lent_again(self, task_id: str, loan: Loan) -> bool:
        """Whether this is a job that we have, by the same message: its connection was lost, or its server has been.

        nats-server 2.9.10 gives out again what it had given out right before it was killed. Whoever took that for a
        second order of the same job, and acknowledged it, would lose the job.
        """
        lease = self._leases.get(task_id)
        return lease is not None and (lease.is_bereft or (bool(loan.entry) and lease.loan.entry == loan.entry))

    def is_bereft(self, event: str | None = None) -> bool:
        """Whether jobs (of `event`) have lost the connection that they were lent on: they may be lent again."""
        return any(lease.is_bereft for lease in self._leases.values() if event is None or lease.event == event)

    def resting(self, event: str, running: frozenset[str]) -> int:
        """How many jobs of an event are on loan and do not run."""
        return sum(lease.event == event and lease.task_id not in running for lease in self._leases.values())

    def is_lost(self, task_id: str) -> bool:
        """See `worker.seams.Lessor`. The moment counts, not whether the task that looks after it has had a turn."""
        lease = self._leases.get(task_id)
        if lease is None:
            return False
        if lease.loan.until_s <= self._loop.time():
            self._lose(lease)
        return lease.is_lost or lease.is_leaving

    def is_leaving(self, task_id: str) -> bool:
        """See `worker.seams.Lessor`."""
        lease = self._leases.get(task_id)
        return lease is not None and lease.is_leaving and not lease.is_lost

    def settled(self, task_id: str, status: Status, *, is_dead: bool) -> None:
        """See `worker.seams.Lessor`."""
        lease = self._leases.get(task_id)
        if lease is None:
            return
        if status is Status.QUEUED:
            if lease.is_lost:  # while that was written down
                self._spawn(self._leave_waiting(lease))
            else:
                self.on_rest(lease.event)
            return
        if status is not Status.LEFT:
            self.conclude(task_id, is_dead=is_dead)
        elif lease.is_leaving:
            self._spawn(self._give_back(lease))
        else:
            self._drop(lease)

    def conclude(self, task_id: str, *, is_dead: bool = False) -> None:
        """A job has come to its end: let the broker know, then say what is to be said."""
        lease = self._leases.get(task_id)
        if lease is not None and not lease.is_concluding:
            lease.is_concluding = True
            self._spawn(self._conclude(lease, is_dead=is_dead))

    def leave(self, task_id: str) -> None:
        """Give up a job that runs: what it comes to does not count, and somebody else gets it."""
        lease = self._leases.get(task_id)
        if lease is not None and not lease.is_concluding:
            lease.is_leaving = True

    def give_back(self, task_id: str) -> None:
        """Let somebody else have a job that waits here and is not to run; one that runs goes on."""
        lease = self._leases.get(task_id)
        if lease is not None and not lease.is_concluding and not lease.is_lost:
            self._spawn(self._give_back_waiting(lease))

    def give_back_all(self, event: str) -> None:
        """The same for all jobs of an event."""
        for lease in tuple(self._leases.values()):
            if lease.event == event:
                self.give_back(lease.task_id)

    @property
    def held(self) -> tuple[tuple[str, str], ...]:
        """The jobs that are on loan and not over: task id and event."""
        return tuple((lease.task_id, lease.event) for lease in self._leases.values() if not lease.is_concluding)

    async def stop(self, limit_s: float) -> None:
        """Give back what waits, and let what is under way end, within a bound."""
        await self.inheritance.stop()
        for lease in tuple(self._leases.values()):
            with suppress(Unavailable):  # a new process leaves it
                if not lease.is_concluding and await self._journal.leave(lease.task_id, time.time()):
                    self._spawn(self._give_back(lease))
        busy = {task for task in self._tasks if task not in {lease.keeper for lease in self._leases.values()}}
        if busy:
            await asyncio.wait(busy, timeout=limit_s)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _lose(self, lease: Lease) -> None:
        """The job is not ours any more: end it, and let nothing count that it came to."""
        if lease.is_lost:
            return
        lease.is_lost = True
        if lease.is_concluding:
            self._forget(lease)
            return
        self._logger.warning("lease.lost", code="ERR-DLV-002", task_id=lease.task_id, job_event=lease.event)
        if not self.kill(lease.task_id):
            self._spawn(self._leave_waiting(lease))

    async def _leave_waiting(self, lease: Lease) -> None:
        has_waited = await self._returns.leave(lease.task_id)
        # What has waited gets no attempt any more, whoever gives it a slot in this moment.
        if has_waited or not self.kill(lease.task_id):
            self._forget(lease)
            self.on_left(lease.task_id)

    async def _give_back_waiting(self, lease: Lease) -> None:
        if await self._returns.leave(lease.task_id):
            lease.is_leaving = True  # until its copy is there and it is gone here, nobody begins that
            await self._give_back(lease)
            self.on_left(lease.task_id)

    async def _conclude(self, lease: Lease, *, is_dead: bool) -> None:
        try:
            await self._returns.conclude(lease, is_dead=is_dead)
        finally:  # also where that has failed inside: then the job is lent again, and concluded again
            self._drop(lease)

    async def _give_back(self, lease: Lease) -> None:
        lease.is_concluding = True
        try:
            await self._returns.give_back(lease)
        finally:
            self._drop(lease)

    def _drop(self, lease: Lease) -> None:
        self._forget(lease)
        if lease.keeper is not None:
            lease.keeper.cancel()

    def _forget(self, lease: Lease) -> None:
        if self._leases.get(lease.task_id) is lease:
            del self._leases[lease.task_id]
        lease.gone.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._logger.error("lease.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
