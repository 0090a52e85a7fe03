"""The standard output of an attempt that runs, sent as it comes: bursts are merged, nothing is kept in memory."""

from __future__ import annotations

import asyncio

from job_item.errors import Unavailable
from job_item.log import get
from worker import subjects
from worker.brokers.session import Session
from worker.outbox import Outbox
from worker.output import Output
from worker.reporters.stdout import BURST_BYTES, CHUNK_BYTES, PAUSE_S, NobodyHears, Stdout, send_all

UNHEARD_S = 1.0
"""The pause before output is sent again that nobody took."""
SAYING_S = 1.0
"""How long the end of an attempt waits to learn whether somebody has what was sent last; else it is sent again."""


class Live:
    """Sends the output of one attempt until it is stopped; what was said of earlier attempts comes first."""

    def __init__(self, task_id: str, output: Output, session: Session, outbox: Outbox) -> None:
        self._task_id = task_id
        self._output = output
        self._session = session
        self._outbox = outbox
        self._stdout = Stdout(output)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._saying: asyncio.Task[None] | None = None
        """A piece that is on its way."""
        self._is_over = False

    def tell(self) -> None:
        """There is more output."""
        self._news.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> int:
        """Send nothing more; returns where in the spool what was not sent begins.

        What is on its way counts as sent when somebody has it, which is mostly known at once.
        """
        self._is_over = True
        if self._task is not None:
            if self._saying is not None:
                await asyncio.wait({self._saying}, timeout=SAYING_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return self._stdout.offset

    async def _work(self) -> None:
        try:
            while True:
                await self._news.wait()
                await self._outbox.cleared(self._task_id)
                connection = await self._session.connected()
                self._news.clear()
                limit = min(connection.payload_limit, CHUNK_BYTES)
                size = self._output.size()
                is_burst = size - self._stdout.offset >= BURST_BYTES
                pause_s = 0.0 if is_burst else PAUSE_S
                try:
                    await send_all(self._stdout, size, self._publish, limit, to_end=False)
                except Unavailable:
                    self._news.set()
                except NobodyHears:
                    self._news.set()
                    pause_s = UNHEARD_S
                await asyncio.sleep(pause_s)
        except asyncio.CancelledError:
            raise
        except Exception as bug:  # the rest of the output is said when the job has ended
            get("worker").error("output.untold", code="ERR-HST-003", task_id=self._task_id, exc_info=bug)

    async def _publish(self, data: bytes) -> None:
        connection = await self._session.connected()
        if self._is_over:
            raise asyncio.CancelledError
        piece, subject = data[: connection.payload_limit], subjects.process(self._task_id)
        self._saying = asyncio.ensure_future(self._outbox.voice.show(connection, subject, piece))
        try:
            await self._saying
        finally:
            self._saying = None
