"""From a job that was seen to a job of this node: noted, asked for, settled among all who were granted it, taken.

The API tells nobody that it granted a job twice (protocol reefguide.md, section 5.2). So a claim is followed by a look
at all open assignments of the job after a moment, and only the holder of the lowest one runs it. A claim whose answer
was lost, with the connection or with this process, is found again by the name under which it was made.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from job_item import payload
from job_item.errors import BadMessage, Unavailable
from job_item.job import JobRecord
from job_item.log import get
from job_item.policy import Backoff
from worker.journal import Grant, Granted, Journal
from worker.reefguide.client import Client, Unanswered
from worker.reefguide.verdicts import find_own, keeps_claim
from worker.reefguide.wire import JobView, Listed

Found = TypeVar("Found")

LOOKS_S = (0.0, 1.0, 4.0, 15.0)
"""The pauses before each look for a claim without an answer: it may be on its way for as long as a request may take."""
PATIENT_LOOKS = 2
"""The looks that a slot waits for; the others are made beside it."""
AGAIN = Backoff(0.5, 2.0, 30.0, 0.5)
JOURNAL_PAUSE_S = 1.0
GRANTS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Claimant:
    """Under which names this node asks for jobs."""

    task: Callable[[], str]
    """A name for the next claim: the ARN of the ECS task, else one that nobody else has, never used before."""
    cluster: Callable[[], str]
    settle_s: float
    api: str


class Claims:
    """Claims jobs. `on_taken` is told of each job that is now one of this node, `on_clear` whenever it has become known
    what came of a claim that had no answer.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        claimant: Claimant,
        on_taken: Callable[[Grant, JobRecord], None],
        on_clear: Callable[[], None],
    ) -> None:
        self.doubtful: set[int] = set()
        """Jobs of which is not known whether they were granted: nobody may ask for them again meanwhile."""
        self._client = client
        self._journal = journal
        self._claimant = claimant
        self._on_taken = on_taken
        self._on_clear = on_clear
        self._knows_left = False
        self._hurry = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether there may be a claim of which nobody knows what came of it."""
        return bool(self.doubtful) or not self._knows_left

    async def claim(self, job: Listed) -> bool | None:
        """Try to get a job; tells whether it is one of this node now, None while nobody knows.

        Raises Unavailable where nothing was claimed.
        """
        grant = await self._journal.ask_grant(self._claimant.api, job.id, job.type, self._claimant.task())
        try:
            granted = await self._client.assign(job.id, grant.claimant, self._claimant.cluster())
        except Unanswered as error:
            get("worker").warning("claim.unanswered", code=error.code, job_id=job.id, reason=error.message)
            return await self._find(grant)
        except Unavailable:
            await self._drop(grant)
            raise
        if granted is None:
            await self._drop(grant)
            return False
        return await self._settle(grant, granted)

    async def find_left(self) -> None:
        """Find what became of the claims that an earlier process made and did not hear of."""
        left = [grant for grant in await self._grants() if grant.task_id is None]
        self.doubtful.update(grant.job_id for grant in left)
        self._knows_left = True
        await asyncio.gather(*(self._find(grant) for grant in left))

    def hurry(self) -> None:
        """The node is about to stop: pause no more."""
        self._hurry.set()

    async def stop(self) -> None:
        """Leave what is open to the next process, which finds it in the journal."""
        for task in tuple(self._later):
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _find(self, grant: Grant) -> bool | None:
        """Look for a claim without an answer: at first while its slot waits, then beside it, and that is None."""
        self.doubtful.add(grant.job_id)
        is_taken = await self._look(grant, LOOKS_S[:PATIENT_LOOKS])
        if is_taken is not None:
            self._clear(grant)
            return is_taken
        task = asyncio.get_running_loop().create_task(self._look_on(grant))
        self._later.add(task)
        task.add_done_callback(self._later.discard)
        return None

    async def _look_on(self, grant: Grant) -> None:
        try:
            if await self._look(grant, LOOKS_S[PATIENT_LOOKS:]) is None:
                await self._drop(grant)
        finally:
            self._clear(grant)

    def _clear(self, grant: Grant) -> None:
        self.doubtful.discard(grant.job_id)
        self._on_clear()

    async def _look(self, grant: Grant, pauses_s: tuple[float, ...]) -> bool | None:
        """Whether the claim was granted and its job taken; None when that is still open after so many looks."""
        for pause_s in pauses_s:
            await self._pause(pause_s)
            view = await self._view(grant.job_id)
            own = find_own(view, grant.claimant, await self._known()) if view is not None else None
            if own is not None:
                get("worker").info("claim.found", job_id=grant.job_id, assignment_id=own.id)
                return await self._settle(grant, own.granted)
            if pause_s and (view is None or view.status != "PENDING"):
                await self._drop(grant)  # what came too late was refused: the job is another's
                return False
        return None

    async def _settle(self, grant: Grant, granted: Granted) -> bool:
        """Take the job, if it is ours among all who hold it."""
        await self._pause(self._claimant.settle_s)
        view = await self._view(grant.job_id)
        if view is None or not keeps_claim(view, granted.assignment_id):
            get("worker").info(
                "claim.yielded", code="ERR-RFG-008", job_id=grant.job_id, assignment_id=granted.assignment_id
            )
            await self._drop(grant)
            return False
        await self._take(grant, granted, view)
        return True

    async def _take(self, grant: Grant, granted: Granted, view: JobView) -> None:
        task_id = task_id_of(grant, granted.assignment_id)
        try:
            body = payload.encode(payload.adopt(view.payload))
        except BadMessage as error:
            get("worker").warning("job.unreadable", code="ERR-RFG-013", task_id=task_id, reason=error.message)
            body = b"{}"
        _, record = await until_kept(
            lambda: self._journal.take_grant(grant.number, granted, task_id, grant.job_type, body)
        )
        found = self._journal.grant(task_id)
        if found is not None:
            self._on_taken(found, record)

    async def _view(self, job_id: int) -> JobView | None:
        """The job as the API shows it, asked for until it does."""
        failures = 0
        while True:
            try:
                return await self._client.job(job_id)
            except Unavailable as error:
                failures += 1
                self._client.lose(error)
                await asyncio.sleep(AGAIN.delay_s(failures, random.random()))  # noqa: S311 - chance against herds

    async def _known(self) -> frozenset[int]:
        """The assignments that are jobs of this node already."""
        return frozenset(each.assignment_id for each in await self._grants() if each.assignment_id is not None)

    async def _grants(self) -> list[Grant]:
        async def read() -> list[Grant]:
            return [each for each in self._journal.grants(GRANTS_MAX) if each.api == self._claimant.api]

        return await until_kept(read)

    async def _drop(self, grant: Grant) -> None:
        await until_kept(lambda: self._journal.drop_grant(grant.number))

    async def _pause(self, pause_s: float) -> None:
        if pause_s:
            try:
                async with asyncio.timeout(pause_s):
                    await self._hurry.wait()
            except TimeoutError:
                return


async def until_kept(work: Callable[[], Awaitable[Found]]) -> Found:
    """Do it until the journal takes it, or tells it: what was granted is ours, whatever the disk says."""
    while True:
        try:
            return await work()
        except Unavailable as error:
            get("worker").error("grant.unkept", code=error.code, reason=error.message)
            await asyncio.sleep(JOURNAL_PAUSE_S)


def task_id_of(grant: Grant, assignment_id: int) -> str:
    """The task id of a granted job: the same whoever finds it again, and another for every API and assignment."""
    place = hashlib.sha256(grant.api.encode()).hexdigest()[:6]
    return f"rg-{place}-{grant.job_id}-{assignment_id}"
