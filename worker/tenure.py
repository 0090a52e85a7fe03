"""Keeps a job on loan this node's for as long as it wants it: renewed in time, or held with its connection.

A loan with a term is renewed three times in each. One that ends with its connection (RabbitMQ) is bereft when that is
lost: its job runs on for a while, as mostly the same node gets it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from job_item.errors import NodeError
from job_item.log import get
from worker.brokers.queues import Expired
from worker.brokers.session import Session
from worker.journal import Journal
from worker.lease import Lease, queues_of
from worker.returns import PAUSE_S, Returns


class Tenure:
    """Looks after leases, one at a time.

    Parameters: `term_s`, how long a bereft job runs on; `lose` is told of a lease that is somebody else's now, `forget`
    of one whose job is in the journal alone.
    """

    def __init__(
        self,
        session: Session,
        returns: Returns,
        journal: Journal,
        *,
        term_s: float,
        lose: Callable[[Lease], None],
        forget: Callable[[Lease], None],
    ) -> None:
        self._session = session
        self._returns = returns
        self._journal = journal
        self._term_s = term_s
        self._lose = lose
        self._forget = forget
        self._loop = asyncio.get_running_loop()

    async def keep(self, lease: Lease) -> None:
        """Look after one lease until it is over."""
        while not lease.is_lost and not lease.gone.is_set():
            if lease.loan.is_bound:
                await self._keep_bound(lease)
            else:
                await self._keep_renewed(lease)

    async def _keep_renewed(self, lease: Lease) -> None:
        left_s = lease.loan.until_s - self._loop.time()
        await asyncio.sleep(max(left_s / 2.0, 0.0))
        while (left_s := lease.loan.until_s - self._loop.time()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    connection = await self._session.connected()
                    queues = queues_of(connection)
                    lease.loan = await queues.renew(lease.loan)
                    lease.connection = connection
                    if lease.loan.pledge:
                        await self._journal.prolong(lease.task_id, lease.loan.until_s)
                return
            except Expired:
                break
            except (NodeError, TimeoutError):
                await asyncio.sleep(min(PAUSE_S, max(left_s, 0.0)))
        self._lose(lease)

    async def _keep_bound(self, lease: Lease) -> None:
        """As long as its connection lasts, or as long as it may be kept; bereft, for so long as a term."""
        lease.returned.clear()
        left_s = lease.keep_until_s - self._loop.time()
        await asyncio.wait({lease.connection.lost}, timeout=max(left_s, 0.0))
        if not lease.connection.lost.done():
            await self._take_over(lease)
            return
        while not lease.returned.is_set():
            connection = await self._returned_or(lease, self._session.connected())
            if connection is None:
                return
            term = asyncio.ensure_future(asyncio.wait({connection.lost}, timeout=self._term_s))
            await self._returned_or(lease, term)
            if not lease.returned.is_set() and not connection.lost.done():
                self._lose(lease)
                return
            await asyncio.sleep(0.01)

    async def _returned_or(self, lease: Lease, other: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> Any:
        """Await something, unless the job is lent again before: then None."""
        returned, task = asyncio.ensure_future(lease.returned.wait()), asyncio.ensure_future(other)
        try:
            await asyncio.wait({returned, task}, return_when=asyncio.FIRST_COMPLETED)
            return None if returned.done() else task.result()
        finally:
            returned.cancel()
            task.cancel()

    async def _take_over(self, lease: Lease) -> None:
        """The broker lends no longer: from now on only the journal has the job."""
        if lease.is_concluding:
            await asyncio.sleep(self._term_s)
            return
        try:
            await queues_of(lease.connection).accept(lease.loan)
        except NodeError:
            await asyncio.sleep(PAUSE_S)
            return
        get("worker").info("job.rests_here", code="ERR-DLV-003", task_id=lease.task_id)
        await self._returns.own(lease.task_id)
        self._forget(lease)
