"""The node's standing connection to its broker: made, watched, made anew, with all that is subscribed.

A connection is never mended: when it is lost, or deaf, a new one is made, and every subscription that is wished for is
made on it again. Whoever has something to say waits for `connected`. Nothing here gives up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from job_item.errors import NodeError, Unavailable
from job_item.log import get
from job_item.policy import Backoff
from worker.brokers.seam import Broker, Connection, Take
from worker.brokers.watchdog import STUCK_S, Progress, Verdict, judge
from worker.brokers.wish import Wish
from worker.desk import BrokerState

PAUSES = Backoff(0.1, 2.0, 3.0, 0.5)
"""Between tries to connect: a node is back within 5 s after its broker."""
PAUSES_REFUSED = Backoff(1.0, 2.0, 30.0, 0.5)
"""The same where the broker does not want us: its administrator has to do something first."""
CONNECT_S = 10.0
SUBSCRIBE_S = 30.0
"""For all subscriptions of a new connection; a broker that has just come back is busy."""
PROBE_S = 3.0
STEADY_S = 5.0
"""A connection that lasted as long as this was a good one: the pauses start anew."""
AT_ONCE = 32
"""Subscriptions that are made at the same time on a new connection."""


class Session:
    """Keeps one connection to `broker`. `interval_s` says how long it may be silent before it is asked."""

    def __init__(self, broker: Broker, interval_s: float) -> None:
        self.connection: Connection | None = None
        self.broker = broker
        self.on_connected: Callable[[], None] = lambda: None
        """Called when a connection stands and all is subscribed."""
        self._interval_s = interval_s
        self._wishes: dict[Wish, None] = {}
        self._up = asyncio.Event()
        self._state = BrokerState(broker.name, False, time.time(), "not connected yet")
        self._is_told = False
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._taken_s = self._loop.time()
        self._waiting_s: float | None = None
        """Since when work is known to wait at the broker, though slots are free."""
        self._waited_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._making: set[asyncio.Task[None]] = set()
        self._logger = get("worker")

    def start(self) -> None:
        """Connect, and stay connected from now on."""
        self._task = self._loop.create_task(self._work())

    async def stop(self) -> None:
        """Let the connection go: what was published is flushed first."""
        for task in (self._task, *self._making):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        connection = self.connection
        self._let_go()
        if connection is not None:
            await connection.close()

    @property
    def state(self) -> BrokerState:
        """How the connection is."""
        return self._state

    @property
    def refusals(self) -> tuple[str, ...]:
        """Subscriptions that the broker does not want, in words."""
        return tuple(f"{wish.subject}: {wish.refusal.message}" for wish in self._wishes if wish.refusal is not None)

    def heard(self) -> None:
        """Something came in."""
        self._heard_s = self._loop.time()

    def taken(self) -> None:
        """A job was taken."""
        self._taken_s, self._waiting_s, self._waited_s = self._loop.time(), None, 0.0

    async def connected(self) -> Connection:
        """The connection, as soon as there is one."""
        while self.connection is None:
            await self._up.wait()
        return self.connection

    def subscribe(self, subject: str, group: str | None, take: Take, *, prefetch: int | None = None) -> Wish:
        """Wish for the messages of a subject; `Wish.is_confirmed` says when the broker has agreed."""
        wish = Wish(self, subject, group, take, prefetch)
        self._wishes[wish] = None
        if self.connection is not None:
            task = self._loop.create_task(self._make(wish, self.connection))
            self._making.add(task)
            task.add_done_callback(self._making.discard)
        return wish

    def drop(self, wish: Wish) -> None:
        """Do not make this one again."""
        self._wishes.pop(wish, None)

    async def _make(self, wish: Wish, connection: Connection) -> None:
        with suppress(Unavailable):  # the next connection makes it
            await wish.make(connection)

    async def _work(self) -> None:
        failures = 0
        while True:
            begun_s, pauses = self._loop.time(), PAUSES
            try:
                await self._live_once()
            except NodeError as error:
                self._tell_lost(error)
                pauses = PAUSES if isinstance(error, Unavailable) else PAUSES_REFUSED
            except Exception as bug:
                self._logger.error("broker.failed", code="ERR-HST-003", reason=repr(bug), exc_info=bug)
                self._tell_lost(Unavailable("ERR-BRK-002", f"The client of the broker has failed: {bug!r}."))
            connection = self.connection
            self._let_go()
            if connection is not None:
                await connection.close()
            lasted = connection is not None and self._loop.time() - begun_s >= STEADY_S
            failures = 1 if lasted else failures + 1
            await asyncio.sleep(pauses.delay_s(failures, random.random()))  # noqa: S311 - chance against herds

    async def _live_once(self) -> None:
        """One connection from its making to its loss. Raises what ended it."""
        try:
            async with asyncio.timeout(CONNECT_S):
                connection = await self.broker.connect()
        except TimeoutError:
            raise Unavailable("ERR-BRK-001", f"The broker did not answer within {CONNECT_S:g} s.") from None
        self.connection = connection
        self._heard_s = self._loop.time()
        self.taken()
        await self._subscribe_all(connection)
        self._tell_connected()
        await self._watch(connection)

    async def _subscribe_all(self, connection: Connection) -> None:
        few = asyncio.Semaphore(AT_ONCE)

        async def make(wish: Wish) -> None:
            async with few:
                await wish.make(connection)

        try:
            async with asyncio.timeout(SUBSCRIBE_S), asyncio.TaskGroup() as group:
                for wish in tuple(self._wishes):
                    group.create_task(make(wish))
        except TimeoutError:
            raise Unavailable("ERR-BRK-004", "The broker did not confirm the subscriptions in time.") from None
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _watch(self, connection: Connection) -> None:
        """Return never: raises Unavailable when the connection is lost, deaf or stuck."""
        looking = self._loop.create_task(self._look(connection))
        ends: set[asyncio.Future[Any]] = {connection.lost, looking}
        try:
            while True:
                since_s = self._loop.time() - self._heard_s
                pause_s = max(0.0, self._interval_s - since_s) + 0.01
                await asyncio.wait(ends, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                if connection.lost.done():
                    raise Unavailable("ERR-BRK-002", connection.lost.result())
                if looking.done():
                    looking.result()
                verdict = judge(self._progress(), self._interval_s)
                if verdict is Verdict.REBUILD:
                    raise Unavailable("ERR-BRK-004", "Work waits at the broker, slots are free, and nothing comes in.")
                if verdict is Verdict.PROBE:
                    await connection.probe(PROBE_S)
                    self.heard()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    def _progress(self) -> Progress:
        return Progress(self._loop.time(), self._heard_s, self._taken_s, self._waited_s, self._is_hungry())

    def _is_hungry(self) -> bool:
        return any(wish.is_hungry() for wish in self._wishes)

    async def _look(self, connection: Connection) -> None:
        """Ask the broker now and then what waits, where that could matter; an answer may take its time.

        Returns never: raises Unavailable as `Connection.waiting`.
        """
        while True:
            await asyncio.sleep(self._interval_s)
            asked_s, some = self._loop.time(), 0
            if asked_s - self._taken_s >= STUCK_S:
                for wish in [wish for wish in self._wishes if wish.is_hungry()]:
                    some += await connection.waiting(wish.subject) or 0
            if not some:
                self._waiting_s = None
            elif self._waiting_s is None:
                self._waiting_s = self._loop.time()
            self._waited_s = asked_s - self._waiting_s if self._waiting_s is not None else 0.0

    def _tell_connected(self) -> None:
        self._state = BrokerState(self.broker.name, True, time.time())
        self._is_told = False
        self._up.set()
        self._logger.info("broker.connected", broker=self.broker.name)
        self.on_connected()

    def _tell_lost(self, error: NodeError) -> None:
        """Say it once; the reason that is shown is the newest."""
        since = time.time() if self._state.connected else self._state.since
        self._state = BrokerState(self.broker.name, False, since, error.message)
        if not self._is_told:
            self._is_told = True
            self._logger.warning("broker.lost", broker=self.broker.name, code=error.code, reason=error.message)

    def _let_go(self) -> None:
        self.connection = None
        self._up.clear()
        for wish in self._wishes:
            wish.forget()
