"""How something is said on a connection, and to which things anybody listens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from worker import subjects
from worker.brokers.seam import Connection
from worker.fitting import fitted
from worker.journal import Saying, SayingKind
from worker.output import Output, spool_path
from worker.reporters.stdout import CHUNK_BYTES, NobodyHears, Stdout, send_all

Send = Callable[[Connection], Awaitable[bool]]
"""Says something on a connection; tells whether somebody has it."""

_SUBJECTS: dict[SayingKind, Callable[[str], str]] = {
    "who": subjects.who,
    "note": subjects.note,
    "output": subjects.process,
    "failed": subjects.failed,
    "finish": subjects.finish,
}


_AFTER_ALL = ("failed", "finish")
"""What comes after everything that was said on other subjects."""


class Voice:
    """Says the sayings of the journal. `logs` is where the output of jobs stands; `is_patient`: there is a Job Manager,
    for whom everything is kept that nobody has.
    """

    def __init__(self, logs: Path, *, is_patient: bool) -> None:
        self.is_patient = is_patient
        self.wanted: dict[SayingKind, bool] = {}
        """What was taken when it was said last, and what was not although the status of its task was."""
        self._logs = str(logs)

    def is_awaited(self, kind: SayingKind) -> bool:
        """Whether something of this kind is kept until somebody has it."""
        return kind == "finish" or (self.is_patient and self.wanted.get(kind, True))

    async def show(self, connection: Connection, subject: str, data: bytes) -> None:
        """Send a piece of output. Raises `NobodyHears` where it is to be kept, besides `Unavailable`."""
        if not self.is_patient:
            await connection.publish(subject, data)
        elif not await connection.deliver(subject, data) and self.is_awaited("output"):
            raise NobodyHears

    def sender(self, saying: Saying) -> Send:
        """Make what says it; called again, it goes on where it was."""
        subject = _SUBJECTS[saying.kind](saying.task_id)
        if saying.kind == "output":
            attempt, _, offset = saying.body.decode().partition(":")
            output = Output(spool_path(self._logs, saying.task_id, int(attempt)))
            return partial(self._say_output, Stdout(output, int(offset)), output.size(), subject)
        return partial(self._say_once, saying, subject)

    async def _say_once(self, saying: Saying, subject: str, connection: Connection) -> bool:
        body = fitted(saying.kind, saying.body, connection.payload_limit)
        if saying.kind in _AFTER_ALL:
            await connection.flush()
        if self.is_patient or saying.kind == "finish":
            return await connection.deliver(subject, body)
        await connection.publish(subject, body)
        return True

    async def _say_output(self, stdout: Stdout, size: int, subject: str, connection: Connection) -> bool:
        async def publish(data: bytes) -> None:
            await self.show(connection, subject, data)

        try:
            await send_all(stdout, size, publish, min(connection.payload_limit, CHUNK_BYTES), to_end=True)
        except NobodyHears:
            return False
        return True
