"""The part of the journal that is about jobs on loan from a broker, and about dead letters."""

from __future__ import annotations

from collections.abc import Sequence

from job_item.job import JobRecord
from worker.journal.book import Book
from worker.journal.loans import Borrow, Drop, GiveUp, Leave, Own, Prolong, Revive
from worker.journal.values import LastWords, Loaned, Pledge


class LoanBook(Book):
    """Jobs on loan, and dead letters."""

    async def borrow(
        self, task_id: str, event: str, body: bytes, created_at: float, loaned: Loaned
    ) -> tuple[bool, JobRecord]:
        """Take a job in that a broker lends; tells whether it is to be run."""
        return await self._writer.submit(Borrow(task_id, event, body, created_at, loaned))

    async def own(self, task_id: str) -> None:
        """The broker has forgotten a job: what was held back of it goes to the outbox."""
        await self._writer.submit(Own(task_id))

    async def prolong(self, task_id: str, until_s: float) -> None:
        """A loan lasts for longer."""
        await self._writer.submit(Prolong(task_id, until_s))

    def pledges(self, boot: str) -> Sequence[Pledge]:
        """The jobs on loan that a process of this boot can let go of."""
        return self._reader.pledges(boot)

    async def leave(self, task_id: str, at: float) -> bool:
        """Give up a job on loan that waits; False when it does not."""
        return await self._writer.submit(Leave(task_id, at))

    async def give_up(
        self, task_id: str, error_code: str, error: str, at: float, *, is_dead: bool, words: LastWords | None = None
    ) -> JobRecord | None:
        """End a job that waits, as `error`; None when it does not wait."""
        return await self._writer.submit(GiveUp(task_id, error_code, error, at, is_dead, words))

    async def revive(self, task_id: str) -> JobRecord | None:
        """Put a dead letter that is kept here back into the queue; None when it is none."""
        return await self._writer.submit(Revive(task_id))

    async def drop(self, task_id: str) -> bool:
        """Let a dead letter that is kept here be none any more; False when it is none."""
        return await self._writer.submit(Drop(task_id))

    def dead(self, limit: int) -> Sequence[JobRecord]:
        """The dead letters that are kept here, newest first, without their attempts."""
        return self._reader.dead(limit)

    def is_leased(self, task_id: str) -> bool:
        """Whether a broker is to hear yet what became of a job."""
        return self._reader.is_leased(task_id)

    def unsaid(self) -> Sequence[str]:
        """The tasks of which something is held back until their broker knows that they are done."""
        return self._reader.unsaid()

    def spent(self, task_id: str) -> int:
        """The attempts that a job had had before it came back from the dead letters."""
        return self._reader.spent(task_id)
