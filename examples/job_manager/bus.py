"""The manager's connection to its broker: made again for ever, with everything subscribed anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from job_item.connections import NatsConnection, RabbitmqConnection, RedisConnection

Take = Callable[[str, bytes], Awaitable[None]]
"""Is given the subject and the body of a message."""
PAUSE_S = 0.5
_LOGGER = logging.getLogger("job_manager")


class LineLost(Exception):  # noqa: N818 - it says what happened
    """This connection is of no use any more."""


class Line(Protocol):
    """One connection. Every method raises `LineLost`."""

    lost: asyncio.Future[None]

    async def publish(self, subject: str, body: bytes) -> bool:
        """Send; tells whether anybody has it."""

    async def subscribe(self, subject: str) -> None:
        """Hear what comes on a subject; the broker has confirmed it when this returns."""

    async def unsubscribe(self, subject: str) -> None:
        """Hear no more of it."""

    async def close(self) -> None:
        """Let go; raises nothing."""


async def open_line(settings: NatsConnection | RedisConnection | RabbitmqConnection, take: Take) -> Line:
    """Connect to the broker of the settings; `take` gets every message. Raises `LineLost`."""
    if isinstance(settings, NatsConnection):
        from examples.job_manager.nats_line import NatsLine

        return await NatsLine.open(settings, take)
    if isinstance(settings, RedisConnection):
        from examples.job_manager.redis_line import RedisLine

        return await RedisLine.open(settings, take)
    from examples.job_manager.rabbitmq_line import RabbitmqLine

    return await RabbitmqLine.open(settings, take)


class Bus:
    """Publishes and hears, over whatever connection there is."""

    def __init__(self, settings: NatsConnection | RedisConnection | RabbitmqConnection) -> None:
        self.on_up: Callable[[], None] = lambda: None
        self._settings = settings
        self._takes: dict[str, Take] = {}
        self._line: Line | None = None
        self._work = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_up(self) -> bool:
        """Whether there is a connection with everything subscribed."""
        return self._line is not None

    async def publish(self, subject: str, body: bytes) -> bool:
        """Send; False where nobody has it, or the broker is away."""
        with suppress(LineLost):
            return self._line is not None and await self._line.publish(subject, body)
        return False

    async def listen(self, subject: str, take: Take) -> None:
        """Hear what comes on a subject from now on, over all connections to come."""
        self._takes[subject] = take
        if self._line is not None:
            with suppress(LineLost):
                await self._line.subscribe(subject)

    async def leave(self, subject: str) -> None:
        """Hear no more of it."""
        if self._takes.pop(subject, None) is not None and self._line is not None:
            with suppress(LineLost):
                await self._line.unsubscribe(subject)

    async def stop(self) -> None:
        """Disconnect."""
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    async def _run(self) -> None:
        is_told = False
        while True:
            try:
                line = await open_line(self._settings, self._hear)
                is_told = False
                await self._live(line)
            except LineLost as error:
                if not is_told:
                    _LOGGER.warning("the broker is away: %s", error)
                    is_told = True
            await asyncio.sleep(PAUSE_S)

    async def _live(self, line: Line) -> None:
        try:
            done: set[str] = set()
            while new := self._takes.keys() - done:  # more may be asked for meanwhile
                for subject in sorted(new, key=list(self._takes).index):
                    await line.subscribe(subject)
                done |= new
            self._line = line
            self.on_up()
            _LOGGER.info("connected to the broker")
            await line.lost
            raise LineLost("the connection was lost")
        finally:
            self._line = None
            await line.close()

    async def _hear(self, subject: str, body: bytes) -> None:
        if take := self._takes.get(subject):
            await take(subject, body)
