"""The part of the journal that is about what HTTP job queues grant."""

from __future__ import annotations

import time
from collections.abc import Sequence

from job_item.job import JobRecord
from worker.journal.book import Book
from worker.journal.grants import AskGrant, DropGrant, Grant, Granted, TakeGrant
from worker.journal.operations import Accept


class GrantBook(Book):
    """Grants, until their results are delivered."""

    async def ask_grant(self, api: str, job_id: int, job_type: str, claimant: str) -> Grant:
        """Note that a job of an HTTP job queue is about to be asked for."""
        return await self._writer.submit(AskGrant(api, job_id, job_type, claimant, time.time()))

    async def take_grant(
        self, number: int, granted: Granted, task_id: str, event: str, body: bytes
    ) -> tuple[bool, JobRecord]:
        """Take a granted job in; as `accept`."""
        job = Accept(task_id, event, "reefguide", body, time.time())
        return await self._writer.submit(TakeGrant(number, granted, job))

    async def drop_grant(self, number: int) -> None:
        """Forget a grant."""
        await self._writer.submit(DropGrant(number))

    def grants(self, limit: int) -> Sequence[Grant]:
        """The grants that are not over, oldest first."""
        return self._reader.grants(limit)

    def grant(self, task_id: str) -> Grant | None:
        """The grant that a job came with, until its result is delivered."""
        return self._reader.grant(task_id)
