"""What is to be said of tasks, and waits in the journal until it is said: over the broker, or to the Job Manager.

Theory of operation. A saying is written to the journal first, together with what it is about (the end of a job), so no
kill loses it. `grow` says that the journal has more; it is read in pages, so an outage of any length costs the same
memory. The sayings of one task are said one after the other, those of different tasks beside each other; what was said
is taken out of the journal. A process that is killed between the two says it again: the same bytes.

Without a Job Manager only a status (`finish`) is repeated, for a bounded time. With one everything waits until somebody
has it. A manager may never listen to some of it: where it takes the status of a task and not what stands before that,
the rest is said once and not waited for (`_knock`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from worker.brokers.seam import Connection
from worker.brokers.session import Session
from worker.desk import Outcome
from worker.journal import Journal, Saying, SayingKind
from worker.moments import Moments
from worker.post import Post
from worker.unheard import QUICK_TRIES, Unheard
from worker.voice import Send, Voice

IN_MEMORY, IN_MEMORY_BYTES = 10_000, 64 << 20
"""How many sayings, and how much of them, are held in memory."""
PAGE = 256
AT_ONCE = 64
"""Sayings that are on their way at the same time."""
JOURNAL_PAUSE_S = 1.0
KNOCK_S, KNOCK_WANTED_S = 10.0, 60.0
"""How long something waits for somebody before the status behind it is tried; the second for what was taken before."""
AGAIN_S = 10.0
"""The pause before what was put aside for want of memory is read again."""


class Outbox:
    """Says what the journal's outbox holds.

    Parameters: `logs`, where the output of jobs stands; `settle_s`, the longest time that a status waits for its
    moment; `post`, what goes to the Job Manager by HTTP; None where there is no Job Manager.
    """

    def __init__(
        self, journal: Journal, session: Session, logs: Path, settle_s: Callable[[], float], post: Post | None = None
    ) -> None:
        self.settle_s = settle_s
        self._moments = Moments(settle_s)
        self._journal = journal
        self._session = session
        self.voice = Voice(logs, is_patient=post is not None)
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()
        """What became of what was said, by kind."""
        self._post = post
        self._chains: dict[str, deque[Saying]] = {}
        self._unheard = Unheard(is_patient=post is not None)
        self._told: set[str] = set()
        """Tasks whose status was taken before the rest."""
        self._aside: set[str] = set()
        """Tasks that were put aside for want of memory: the journal alone holds what is to be said of them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[int, int] = {}
        """The sayings in memory, by their numbers, with their sizes."""
        self._held_bytes = 0
        self._read_to = 0
        self._more = True
        self._few = asyncio.Semaphore(AT_ONCE)
        self._moved = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pump: asyncio.Handle | None = None
        self._again: asyncio.TimerHandle | None = None
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
        return len(self._held) >= IN_MEMORY or self._held_bytes >= IN_MEMORY_BYTES

    def is_clear(self, task_id: str) -> bool:
        """Whether nothing of a task waits here."""
        return not self._more and task_id not in self._chains and task_id not in self._aside

    async def cleared(self, task_id: str) -> None:
        """Return when nothing of a task waits here."""
        while not self.is_clear(task_id):
            self._moved.clear()
            await self._moved.wait()

    @property
    def is_patient(self) -> bool:
        """Whether there is a Job Manager, for which things are kept."""
        return self.voice.is_patient

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
        waits = len(self._unheard) + (self._post.waiting if self._post else 0)
        return not self._more and waits == len(self._chains)

    async def stop(self) -> None:
        """Say nothing more."""
        for handle in (self._pump, self._again):
            if handle is not None:
                handle.cancel()
        self._unheard.stop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _read(self) -> None:
        """Read on, as far as there is room in memory."""
        self._pump = None
        while self._more and not self.is_full:
            try:
                page = self._journal.sayings(self._read_to, PAGE)
            except Unavailable as error:
                self._logger.error("outbox.paused", code=error.code, reason=error.message)
                self._pump = self._loop.call_later(JOURNAL_PAUSE_S, self._read)
                return
            self._more = len(page) == PAGE
            for saying in page:
                self._read_to = saying.number
                if saying.task_id not in self._aside and saying.number not in self._held:
                    self._add(saying)
        if self._more and self._unheard.is_patient:
            self._unheard.let_go(PAGE)
        self._moved.set()

    def _add(self, saying: Saying) -> None:
        self._held[saying.number] = len(saying.body)
        self._held_bytes += len(saying.body)
        chain = self._chains.get(saying.task_id)
        if chain is not None:
            chain.append(saying)
            return
        chain = self._chains[saying.task_id] = deque((saying,))
        task = self._loop.create_task(self._say_all(saying.task_id, chain))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _drop(self, saying: Saying) -> None:
        self._held_bytes -= self._held.pop(saying.number)

    async def _say_all(self, task_id: str, chain: deque[Saying]) -> None:
        """Say what waits of one task, in its order."""
        while chain:
            outcome: Outcome | None = "refused"
            try:
                outcome = await self._say(chain)
            except asyncio.CancelledError:
                raise
            except NodeError as error:  # it will never be taken
                self._logger.error("saying.refused", code=error.code, task_id=task_id, reason=error.message)
            except Exception as bug:
                self._logger.error("saying.failed", code="ERR-HST-003", task_id=task_id, reason=repr(bug), exc_info=bug)
            if outcome is None:
                self._put_aside(task_id, chain)
                break
            self.outcomes[chain[0].kind, outcome] += 1
            await self._strike(chain[0])
            self._drop(chain.popleft())
        del self._chains[task_id]
        self._told.discard(task_id)
        self._moved.set()
        if self._more:
            self.grow()

    def _put_aside(self, task_id: str, chain: deque[Saying]) -> None:
        """Leave a task to the journal: there is no room for all that nobody takes."""
        self._aside.add(task_id)
        for saying in chain:
            self._drop(saying)

    def _heard(self, kind: SayingKind, task_id: str) -> None:
        """Somebody has taken something: what waits may be taken, too."""
        self.voice.wanted[kind] = True
        self._unheard.heard(task_id)
        if self._aside and self._again is None:
            self._again = self._loop.call_later(AGAIN_S, self._read_again)

    def _read_again(self) -> None:
        """Read all that was put aside."""
        self._again = None
        self._aside.clear()
        self._read_to = 0
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
                break
        self._moments.said(saying)
        if self._post is not None:
            self._post.forget(saying)

    async def _say(self, chain: deque[Saying]) -> Outcome | None:
        """Say the first of a task; None where it is put aside."""
        saying = chain[0]
        if saying.due_at:
            await asyncio.sleep(self._moments.left_s(saying))
        if saying.kind in ("result", "file"):
            if self._post is None:  # the Job Manager is gone from the settings
                return "unheard"
            await self._post.send(saying)
            return "taken"
        begun_s, send = self._loop.time(), self.voice.sender(saying)
        try:
            while not await self._until_sent(send):
                if saying.task_id in self._told:
                    self.voice.wanted.setdefault(saying.kind, False)
                if not self.voice.is_awaited(saying.kind) or saying.task_id in self._told:
                    return "unheard"
                if await self._knock(chain, send, self._loop.time() - begun_s):
                    return "taken" if self.voice.wanted[saying.kind] else "unheard"
                if not await self._unheard.next_try(saying.task_id):
                    return self._give_up(saying)
            self._heard(saying.kind, saying.task_id)
        finally:
            self._unheard.leave(saying.task_id)
        return "taken"

    def _give_up(self, saying: Saying) -> Outcome | None:
        if self._unheard.is_patient:
            return None
        tries = self._unheard.tries(saying.task_id)
        self._logger.info("finish.unheard", code="ERR-REP-100", task_id=saying.task_id, tries=tries)
        return "unheard"

    async def _knock(self, chain: deque[Saying], send: Send, waited_s: float) -> bool:
        """Try whether somebody waits for the status of a task, and not for what stands before it."""
        saying, end = chain[0], chain[-1]
        patience_s = KNOCK_WANTED_S if self.voice.wanted.get(saying.kind) else KNOCK_S
        if saying is end or end.kind != "finish" or self._moments.left_s(end) > 0 or waited_s < patience_s:
            return False
        if self._unheard.tries(saying.task_id) < QUICK_TRIES:
            return False
        is_first_taken, send_end = False, self.voice.sender(end)

        async def send_both(connection: Connection) -> bool:
            """The one right behind the other: he may be about to come, and subscribe one subject after the other."""
            nonlocal is_first_taken
            is_first_taken = await send(connection)
            return is_first_taken or await send_end(connection)

        if not await self._until_sent(send_both):
            return False
        if not is_first_taken:
            self._told.add(saying.task_id)
            self.outcomes["finish", "taken"] += 1
            await self._strike(end)
            self._drop(chain.pop())
            is_first_taken = await self._until_sent(send)
        self._heard("finish", saying.task_id)
        self.voice.wanted[saying.kind] = is_first_taken
        return True

    async def _until_sent(self, send: Send) -> bool:
        """Send on one connection after the other, until one has taken it; tells whether somebody has it."""
        while True:
            connection = await self._session.connected()
            try:
                async with self._few:
                    return await send(connection)
            except Unavailable:
                # The session learns of the loss in a turn of the loop; until then this is the connection.
                await asyncio.sleep(0.01)
