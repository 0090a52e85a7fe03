"""Watches over the jobs that were granted: their time, and whether their results are still wanted (row 10)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from job_item.errors import Unavailable
from job_item.job import Status
from job_item.log import get
from job_item.reefspec import ReefGuide
from worker.journal import Grant
from worker.reefguide.client import Client
from worker.reefguide.verdicts import why_end

JITTER = 0.2
AGAIN_S = 1.0

Stop = Callable[[str, Status], Awaitable[object]]
"""Ends a job of this node with a status. Raises Unavailable."""


class Watch:
    """One coroutine for each job, from its taking to its end."""

    def __init__(self, client: Client, settings: ReefGuide, stop: Stop) -> None:
        self._client = client
        self._settings = settings
        self._stop = stop
        self._tasks: dict[str, tuple[asyncio.Task[None], ...]] = {}
        self._loop = asyncio.get_running_loop()

    def begin(self, task_id: str, grant: Grant) -> None:
        """Watch over a job from now on."""
        if task_id not in self._tasks:
            create = self._loop.create_task
            self._tasks[task_id] = (create(self._keep_time(task_id, grant)), create(self._look(task_id, grant)))

    def end(self, task_id: str) -> None:
        """The job has ended."""
        for task in self._tasks.pop(task_id, ()):
            task.cancel()

    async def close(self) -> None:
        """Watch no more."""
        tasks = [task for pair in self._tasks.values() for task in pair]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_time(self, task_id: str, grant: Grant) -> None:
        await asyncio.sleep(time_left_s(grant, self._settings.deadline, time.time()))
        get("worker").warning("job.overdue", code="ERR-RFG-012", task_id=task_id, job_id=grant.job_id)
        await self.end_job(task_id, Status.TIMEOUT)

    async def _look(self, task_id: str, grant: Grant) -> None:
        while True:
            pause_s = self._settings.watch_interval * (1 - JITTER * random.random())  # noqa: S311 - against herds
            await asyncio.sleep(pause_s)
            try:
                view = await self._client.job(grant.job_id)
            except Unavailable:
                continue  # the client has said it; the job goes on
            reason = why_end(view, grant.assignment_id or 0, self._settings.on_timed_out)
            if reason is not None:
                get("worker").warning(
                    "job.unwanted", code="ERR-RFG-011", task_id=task_id, job_id=grant.job_id, reason=reason
                )
                await self.end_job(task_id, Status.TERMINATE)
                return

    async def end_job(self, task_id: str, status: Status) -> None:
        """Have a job ended, however long the journal takes to note it."""
        while True:
            try:
                await self._stop(task_id, status)
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
            else:
                return


def time_left_s(grant: Grant, deadline_s: float | None, now: float) -> float:
    """How long a job may still take. Across restarts that is by the wall clock, which may have been set meanwhile: no
    job gets more than its whole time.
    """
    whole_s = deadline_s if deadline_s is not None else grant.lasts_s or 0.0
    return min(max(whole_s - (now - (grant.taken_at or now)), 0.0), whole_s)
