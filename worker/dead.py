"""The dead letters: those that this node's journal keeps, and those of the project that lie at the broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from job_item.job import JobRecord
from worker import subjects
from worker.brokers.queues import Fallen, Queues
from worker.brokers.session import Session
from worker.intake import Intake
from worker.letters import Letter, read_letter
from worker.sources.trigger import write_trigger

LIMIT = 1_000
"""How many are looked at."""


class DeadLetters:
    """Lists them, has them tried again, drops them."""

    def __init__(self, intake: Intake, session: Session | None = None) -> None:
        """Parameter `session`: None where the node has no broker."""
        self._intake = intake
        self._session = session
        self._project = intake.board.standing.settings.project

    async def list(self, limit: int) -> Sequence[Letter]:
        """The letters, oldest first. Raises Unavailable."""
        letters = [letter async for letter, _, _ in self._at_broker()]
        letters += [self._letter_of(record) for record in self._intake.journal.dead(LIMIT)]
        return sorted(letters, key=lambda letter: letter.died_at)[:limit]

    async def retry(self, task_id: str) -> bool:
        """Put a job back where it came from, with all its attempts before it; False where there is no such letter.

        Raises Unavailable.
        """
        async for letter, fallen, queues in self._at_broker():
            if letter.task_id == task_id and letter.event:
                subject = subjects.trigger(self._project, letter.event)
                trigger = write_trigger(task_id, letter.body)
                await queues.put(subject, task_id, trigger, letter.round + 1)
                await queues.exhume(fallen)
                return True
        record = await self._intake.journal.revive(task_id)
        if record is not None:
            self._intake.resume(record)
        return record is not None

    async def drop(self, task_id: str) -> bool:
        """Let a letter go for good; False where there is no such letter. Raises Unavailable."""
        is_gone = False
        async for letter, fallen, queues in self._at_broker():
            if letter.task_id == task_id:
                is_gone |= await queues.exhume(fallen)
        return is_gone or await self._intake.journal.drop(task_id)

    async def _at_broker(self) -> AsyncIterator[tuple[Letter, Fallen, Queues]]:
        """Each letter that lies at the broker; one without a task id gets one to be named by."""
        connection = self._session.connection if self._session is not None else None
        if connection is None or connection.queues is None:
            return
        for fallen in await connection.queues.fallen(LIMIT):
            letter = read_letter(fallen.body, fallen.reason)
            if not letter.task_id:
                letter = replace(letter, task_id="message-" + re.sub(r"[^A-Za-z0-9]", "-", str(fallen.token)))
            yield letter, fallen, connection.queues

    def _letter_of(self, record: JobRecord) -> Letter:
        return Letter(
            record.task_id,
            record.event,
            self._intake.journal.body(record.task_id) or b"{}",
            record.error_code or "",
            record.error or "",
            record.attempt,
            record.finished_at or 0.0,
        )
