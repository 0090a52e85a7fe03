"""The part of the journal that is about what is said of jobs: by their scripts, and by the node."""

from __future__ import annotations

from collections.abc import Sequence

from worker.desk import Note
from worker.journal.book import Book
from worker.journal.operations import AddNote
from worker.journal.sayings import Said, Say
from worker.journal.values import Saying, SayingKind


class Outbook(Book):
    """Notifications, and the outbox."""

    async def note(self, task_id: str, at: float, msg: str, say: bytes | None = None) -> bool:
        """Keep a notification of a job, and `say` in the outbox; False when the job is unknown."""
        return await self._writer.submit(AddNote(task_id, at, msg, say))

    def notes(self, task_id: str, after: int = 0) -> Sequence[Note]:
        """The notifications of a job whose number is above `after`, oldest first (the last 1,000 are kept)."""
        return self._reader.notes(task_id, after)

    async def say(self, task_id: str, *words: tuple[SayingKind, bytes], due_at: float = 0.0) -> None:
        """Put what is to be said of a task into the outbox, in this order."""
        await self._writer.submit(Say(task_id, words, due_at))

    async def said(self, number: int) -> None:
        """Take something out of the outbox."""
        await self._writer.submit(Said(number))

    def sayings(self, after: int, limit: int) -> Sequence[Saying]:
        """What is to be said, in its order, from what came after the number `after` on; numbers are never given
        again.
        """
        return self._reader.sayings(after, limit)

    def outgoing(self, task_id: str) -> int:
        """How many results and files of a task wait for the Job Manager."""
        return self._reader.outgoing(task_id)

    def outbox_counts(self) -> dict[str, int]:
        """How much is to be said, by kind; no more than 100,000 are counted."""
        return self._reader.outbox_counts()

    def parcels(self) -> Sequence[str]:
        """The files that wait for the Job Manager, as `worker.parcels` numbers them."""
        return self._reader.parcels()
