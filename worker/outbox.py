"""What is to be said over the broker, and waits in the journal until it is said.

Theory of operation. A saying is written to the journal first, together with what it is about (the end of a job), so no
kill loses it. `grow` says that the journal has more; it is read in pages, so an outage of any length costs the same
memory. The sayings of one task are said one after the other, those of different tasks beside each other. A status
(`finish`) is repeated until somebody has it, for a bounded time; what was said is taken out of the journal. A process
that is killed between the two says it again: the same bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from job_item.policy import Backoff
from worker import subjects
from worker.brokers.seam import Connection
from worker.brokers.session import Session
from worker.journal import Journal, Saying, SayingKind
from worker.output import Output, spool_path
from worker.reporters.stdout import CHUNK_BYTES, Stdout, send_all

IN_MEMORY = 10_000
PAGE = 256
AT_ONCE = 64
"""Sayings that are on their way at the same time."""
UNHEARD_TRIES = 17
UNHEARD_JOBS = 1_000
"""How often (that is about a minute), and for how many jobs at most, a status is repeated that nobody takes."""
REPEATS = Backoff(0.1, 2.0, 5.0, 0.0)
JOURNAL_PAUSE_S = 1.0

_SUBJECTS: dict[SayingKind, Callable[[str], str]] = {
    "who": subjects.who,
    "note": subjects.note,
    "output": subjects.process,
    "failed": subjects.failed,
    "finish": subjects.finish,
}


class Outbox:
    """Says what the journal's outbox holds.

    Parameters: `logs`, where the output of jobs stands; `settle_s`, the longest time that a status waits for its
    moment.
    """

    def __init__(self, journal: Journal, session: Session, logs: Path, settle_s: Callable[[], float]) -> None:
        self.settle_s = settle_s
        self._journal = journal
        self._session = session
        self._logs = str(logs)
        self._chains: dict[str, deque[Saying]] = {}
        self._unheard: OrderedDict[str, asyncio.Event] = OrderedDict()
        """Tasks whose status nobody takes, the oldest first; the event ends the repetition."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        self._read_to = 0
        self._more = True
        self._few = asyncio.Semaphore(AT_ONCE)
        self._moved = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pump: asyncio.Handle | None = None
        self._logger = get("worker")
        self.grow()

    def grow(self) -> None:
        """The journal has more to say."""
        self._more = True
        if self._pump is None:
            self._pump = self._loop.call_soon(self._read)

    @property
    def is_full(self) -> bool:
        """Whether more waits than is good: what matters little is not to be added."""
        return self._held >= IN_MEMORY

    def is_clear(self, task_id: str) -> bool:
        """Whether nothing of a task waits here."""
        return not self._more and task_id not in self._chains

    async def cleared(self, task_id: str) -> None:
        """Return when nothing of a task waits here."""
        while not self.is_clear(task_id):
            self._moved.clear()
            await self._moved.wait()

    async def flush(self, limit_s: float) -> None:
        """Say what can be said, for so long at most; what is left is in the journal."""
        try:
            async with asyncio.timeout(limit_s):
                while (self._more or self._chains) and self._session.connection is not None and not self._is_unheard():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return

    def _is_unheard(self) -> bool:
        """Whether all that is left is what nobody takes."""
        return not self._more and len(self._unheard) == len(self._chains)

    async def stop(self) -> None:
        """Say nothing more."""
        if self._pump is not None:
            self._pump.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _read(self) -> None:
        """Read on, as far as there is room in memory."""
        self._pump = None
        while self._more and self._held < IN_MEMORY:
            try:
                page = self._journal.sayings(self._read_to, PAGE)
            except Unavailable as error:
                self._logger.error("outbox.paused", code=error.code, reason=error.message)
                self._pump = self._loop.call_later(JOURNAL_PAUSE_S, self._read)
                return
            self._more = len(page) == PAGE
            for saying in page:
                self._read_to = saying.number
                self._add(saying)
        self._moved.set()

    def _add(self, saying: Saying) -> None:
        self._held += 1
        chain = self._chains.get(saying.task_id)
        if chain is not None:
            chain.append(saying)
            return
        chain = self._chains[saying.task_id] = deque((saying,))
        task = self._loop.create_task(self._say_all(saying.task_id, chain))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say_all(self, task_id: str, chain: deque[Saying]) -> None:
        """Say what waits of one task, in its order."""
        while chain:
            try:
                await self._say(chain[0])
            except asyncio.CancelledError:
                raise
            except NodeError as error:  # the broker will never take it
                self._logger.error("saying.refused", code=error.code, task_id=task_id, reason=error.message)
            except Exception as bug:
                self._logger.error("saying.failed", code="ERR-HST-003", task_id=task_id, reason=repr(bug), exc_info=bug)
            await self._strike(chain[0])
            chain.popleft()
            self._held -= 1
        del self._chains[task_id]
        self._moved.set()
        if self._more:
            self.grow()

    async def _strike(self, saying: Saying) -> None:
        """Take it out of the journal, however long that takes."""
        while True:
            try:
                await self._journal.said(saying.number)
            except Unavailable as error:
                self._logger.error("outbox.paused", code=error.code, reason=error.message)
                await asyncio.sleep(JOURNAL_PAUSE_S)
            else:
                return

    async def _say(self, saying: Saying) -> None:
        if saying.due_at:
            # By the wall clock, which may have been set meanwhile: no wait is longer than any can be.
            await asyncio.sleep(min(saying.due_at - time.time(), self.settle_s()))
        match saying.kind:
            case "finish":
                await self._deliver(saying)
            case "output":
                await self._say_output(saying)
            case _:
                await self._until_sent(lambda connection: self._publish(connection, saying))

    async def _until_sent(self, send: Callable[[Connection], Awaitable[bool]]) -> bool:
        """Send on one connection after the other, until one has taken it."""
        while True:
            connection = await self._session.connected()
            try:
                async with self._few:
                    return await send(connection)
            except Unavailable:
                # The session learns of the loss in a turn of the loop; until then this is the connection.
                await asyncio.sleep(0.01)

    async def _publish(self, connection: Connection, saying: Saying) -> bool:
        body = saying.body[: connection.payload_limit]
        await connection.publish(_SUBJECTS[saying.kind](saying.task_id), body)
        return True

    async def _say_output(self, saying: Saying) -> None:
        attempt, _, offset = saying.body.decode().partition(":")
        output = Output(Path(spool_path(self._logs, saying.task_id, int(attempt))))
        stdout, size = Stdout(output, int(offset)), output.size()
        subject = subjects.process(saying.task_id)

        async def send(connection: Connection) -> bool:
            limit = min(connection.payload_limit, CHUNK_BYTES)
            await send_all(stdout, size, lambda data: connection.publish(subject, data), limit, to_end=True)
            return True

        await self._until_sent(send)

    async def _deliver(self, saying: Saying) -> None:
        """Say a status until somebody has it; a time without a connection does not count."""
        subject, tries = subjects.finish(saying.task_id), 0
        given_up = asyncio.Event()
        try:
            while not await self._until_sent(partial(_deliver, subject, saying.body)):
                tries += 1
                if tries == 1:
                    self._hold_unheard(saying.task_id, given_up)
                if given_up.is_set() or tries >= UNHEARD_TRIES:
                    self._logger.info("finish.unheard", code="ERR-REP-100", task_id=saying.task_id, tries=tries)
                    return
                await _either(given_up, REPEATS.delay_s(tries, 0.0))
        finally:
            self._unheard.pop(saying.task_id, None)

    def _hold_unheard(self, task_id: str, given_up: asyncio.Event) -> None:
        """Remember that nobody takes this one; of too many the oldest are given up."""
        self._unheard[task_id] = given_up
        self._moved.set()
        while len(self._unheard) > UNHEARD_JOBS:
            self._unheard.popitem(last=False)[1].set()


async def _deliver(subject: str, body: bytes, connection: Connection) -> bool:
    await connection.flush()
    return await connection.deliver(subject, body)


async def _either(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
