"""Posts the results that the journal holds, each until the API has it (protocol reefguide.md, section 14, row 1)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from job_item.errors import Unavailable
from job_item.log import get
from job_item.policy import Backoff
from worker.journal import Grant, Journal
from worker.reefguide.access import Busy
from worker.reefguide.client import Client
from worker.reefguide.reason import Reasons
from worker.reefguide.result import FAILED
from worker.reefguide.variables import FILES_MAX
from worker.reefguide.verdicts import Delivery, judge_delivery, may_post_failure

AGAIN = Backoff(0.5, 2.0, 60.0, 0.5)
JOURNAL_PAUSE_S = 1.0
PAGE = 10_000


class Courier:
    """Delivers, one coroutine for each result. `on_delivered` is told of each that is over.

    A success whose files no client could fetch is none, and is told as failed (section 14, row 14).
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        api: str,
        reasons: Reasons,
        on_delivered: Callable[[], None],
    ) -> None:
        self._reasons = reasons
        self._client = client
        self._journal = journal
        self._api = api
        self._on_delivered = on_delivered
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be delivered."""
        return not self._tasks and self._later is None

    @property
    def waiting(self) -> int:
        """How many results wait to be delivered."""
        return len(self._tasks)

    def grow(self) -> None:
        """The journal may have more."""
        self._later = None
        try:
            grants = self._journal.grants(PAGE)
        except Unavailable as error:
            get("worker").error("results.unread", code=error.code, reason=error.message)
            self._later = self._loop.call_later(JOURNAL_PAUSE_S, self.grow)
            return
        for grant in grants:
            if grant.has_ended and grant.api == self._api and grant.number not in self._tasks:
                self._tasks[grant.number] = self._loop.create_task(self._deliver(grant))

    async def flush(self, limit_s: float) -> None:
        """Deliver what can be delivered in time; what is left is in the journal."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=limit_s)

    async def stop(self) -> None:
        """Deliver nothing more."""
        if self._later is not None:
            self._later.cancel()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self, grant: Grant) -> None:
        body, refusal = grant.result or FAILED, ""
        if body != FAILED and (refusal := await self._too_many_files(grant)):
            self._warn("result.unfetchable", "ERR-STG-012", grant, refusal)
            body = FAILED
        telling = self._tell_reason(grant, refusal) if body == FAILED else None
        failures = 0
        while True:
            try:
                following = await self._try(grant, body)
            except Unavailable as error:
                failures += 1
                self._tell_late(grant, error, failures)
                pause_s = AGAIN.delay_s(failures, random.random())  # noqa: S311 - chance against herds
                await asyncio.sleep(max(pause_s, error.wait_s) if isinstance(error, Busy) else pause_s)
                continue
            if following is None:
                break
            body = following
            telling = self._tell_reason(grant, "ERR-RFG-009: the API does not take it")
        if telling is not None:
            await telling
        await self._strike(grant)
        del self._tasks[grant.number]
        self._on_delivered()

    async def _too_many_files(self, grant: Grant) -> str:
        """Why no client could fetch what a job has stored; empty where they can, or nobody can tell."""
        number = await self._reasons.stock.count(grant.storage_uri or "", FILES_MAX + 1)
        is_over = number is not None and number > FILES_MAX
        return f"ERR-STG-012: it stored more than {FILES_MAX} files, and clients can fetch no more" if is_over else ""

    def _tell_reason(self, grant: Grant, refusal: str = "") -> asyncio.Task[None]:
        """Beside the posting: clients do not wait for a storage that is slow."""
        return self._loop.create_task(self._reasons.leave(grant, refusal))

    async def _try(self, grant: Grant, body: bytes) -> bytes | None:
        """Post `body`. None when that is over, whatever came of it; else what is to be posted in its place.

        Raises Unavailable when it is to be tried again.
        """
        number = grant.assignment_id or 0
        if body == FAILED and not may_post_failure(await self._client.job(grant.job_id)):
            self._tell("result.withheld", grant, reason="the job has come to its end without this result")
            return None
        answer = await self._client.post_result(number, body)
        match judge_delivery(answer):
            case Delivery.DONE:
                self._tell("result.posted", grant, result=_word(body))
                return None
            case Delivery.MISFIT if body != FAILED:
                self._warn("result.misfit", "ERR-RFG-009", grant, str(answer))
                return FAILED
            case Delivery.MISFIT | Delivery.REFUSED:
                self._warn("result.refused", "ERR-RFG-010", grant, str(answer))
                return None
            case Delivery.ASK if await self._is_taken(grant.job_id, number):
                self._tell("result.posted", grant, result=_word(body), repeated=True)
                return None
        raise Unavailable("ERR-RFG-004", f"a result was answered with {answer}")

    async def _is_taken(self, job_id: int, number: int) -> bool:
        view = await self._client.job(job_id)
        own = view.assignment(number) if view is not None else None
        return own is not None and not own.is_open

    async def _strike(self, grant: Grant) -> None:
        """Take it out of the journal, however long that takes."""
        while True:
            try:
                await self._journal.drop_grant(grant.number)
            except Unavailable as error:
                get("worker").error("result.unstruck", code=error.code, reason=error.message)
                await asyncio.sleep(JOURNAL_PAUSE_S)
            else:
                return

    def _tell_late(self, grant: Grant, error: Unavailable, failures: int) -> None:
        if failures in (1, 10, 100, 1000):
            self._warn("result.late", error.code, grant, error.message)

    @staticmethod
    def _tell(event: str, grant: Grant, **fields: object) -> None:
        get("worker").info(event, task_id=grant.task_id, job_id=grant.job_id, **fields)

    @staticmethod
    def _warn(event: str, code: str, grant: Grant, reason: str) -> None:
        get("worker").warning(event, code=code, task_id=grant.task_id, job_id=grant.job_id, reason=reason)


def _word(body: bytes) -> str:
    return "FAILED" if body == FAILED else "SUCCEEDED"
