"""The reporter that speaks over the broker: who runs a job, its output, why it failed, its status, once.

Order is made here and in the outbox, not by waiting: the control subject is subscribed and confirmed before `_who` is
published; what a job leaves to be said (the rest of its output, `_failed`, `_finish`) goes to the outbox in that order,
in the transaction that settles the job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from job_item.errors import Unavailable
from job_item.job import JobRecord, Status
from job_item.log import get
from worker import subjects
from worker.brokers.session import Session
from worker.controls import Controls
from worker.fitting import tail_of_characters
from worker.journal import Journal, LastWords, Settlement
from worker.outbox import Outbox
from worker.output import Output, spool_path
from worker.reporters.live import Live
from worker.seams import Assignment

CONFIRM_S = 1.0
"""How long a job waits for the broker to confirm its control subjects; then it starts without."""
FAILED_BYTES = 16 << 10
"""How much of the end of standard error `_failed` carries."""


@dataclass(slots=True)
class Told:
    """What was said of a task that runs; `who_at` is seconds since the epoch."""

    who_at: float
    attempt: int
    live: Live | None = None
    """Who sends its output; None while there is none."""
    asked: bool = False
    """Whether its end was asked for over the broker: then nobody has to be told why."""


@dataclass(frozen=True, slots=True)
class SubjectReporter:
    """Tells each step of a job on its subjects. `settle_s` is what is in force of `finish_settle`."""

    journal: Journal
    session: Session
    outbox: Outbox
    controls: Controls
    logs: Path
    host_id: str
    settle_s: Callable[[], float]
    told: dict[str, Told] = field(default_factory=dict)

    def accepted(self, record: JobRecord) -> None:
        """Its end may be asked for from now on."""
        self.controls.wait_with(record.task_id)

    async def announce(self, assignment: Assignment) -> None:
        """Before an attempt begins: listen for its end, and say on the first who runs it."""
        task_id = assignment.task_id
        if self.session.connection is not None:
            await self.controls.confirmed(task_id, CONFIRM_S)
        else:
            self.controls.listen(task_id)
        told = self.told[task_id] = Told(time.time(), assignment.attempt)
        if assignment.attempt == 1:
            await self._say_who(task_id)
            told.who_at = time.time()
        self.controls.begin(task_id)

    async def _say_who(self, task_id: str) -> None:
        body = self.host_id.encode()
        if self.session.connection is not None:
            try:
                if self.outbox.is_patient:
                    is_said = await self.session.connection.deliver(subjects.who(task_id), body)
                else:
                    await self.session.connection.publish(subjects.who(task_id), body)
                    is_said = True
            except Unavailable:
                is_said = False
            if is_said:
                return
        try:
            await self.journal.say(task_id, ("who", body))
        except Unavailable as error:
            get("worker").error("who.unsaid", code=error.code, task_id=task_id, reason=error.message)
        else:
            self.outbox.grow()

    def started(self, assignment: Assignment) -> None:
        """Was announced."""

    def output(self, task_id: str) -> None:
        """There is more output."""
        if (told := self.told.get(task_id)) is None:
            return
        if told.live is None:
            told.live = Live(task_id, self._spool(task_id, told), self.session, self.outbox)
        told.live.tell()

    def _spool(self, task_id: str, told: Told) -> Output:
        return Output(spool_path(str(self.logs), task_id, told.attempt))

    def noted(self, task_id: str) -> None:  # noqa: ARG002 - given by the seam
        """A notification stands in the outbox."""
        self.outbox.grow()

    def asked(self, task_id: str) -> None:
        """The end of a task was asked for over the broker."""
        if (told := self.told.get(task_id)) is not None:
            told.asked = True

    async def conclude(self, end: Settlement) -> LastWords:
        """What is to be said of the end of an attempt."""
        told = self.told.pop(end.task_id, None)
        if told is None:
            return self.last_words(_reason(end))
        sent = await told.live.stop() if told.live is not None else 0
        rest, failed = None, b""
        if end.usage.stdout_bytes and sent < self._spool(end.task_id, told).size():
            rest = f"{told.attempt}:{sent}".encode()
        if end.usage.stderr_bytes:
            failed = tail_of_characters(self._spool(end.task_id, told).tail("stderr", FAILED_BYTES))
        if not failed and not told.asked:
            failed = _reason(end) or b""
        return LastWords(told.who_at + self.settle_s(), rest, failed or None)

    def last_words(self, failed: bytes | None = None) -> LastWords:
        """What is said of a job that ends now without having run here."""
        return LastWords(time.time() + self.settle_s(), None, failed)

    def settled(self, assignment: Assignment, end: Settlement, status: Status, details: dict[str, Any]) -> None:  # noqa: ARG002 - given by the seam
        """An attempt has ended: what it left to be said is in the journal."""
        if status.is_final:
            self.controls.drop(assignment.task_id)
        self.outbox.grow()

    def ended(self, task_id: str) -> None:
        """A job has ended without an attempt that was settled here."""
        self.controls.drop(task_id)
        self.outbox.grow()


def _reason(end: Settlement) -> bytes | None:
    """Why a job failed, in one sentence with its code; None where it did not."""
    return f"{end.error_code}: {end.error}".encode() if end.error_code and end.error else None
