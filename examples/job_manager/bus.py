"""The manager's connection to its broker: made again for ever, with everything subscribed anew."""

from __future__ import annotations

import asyncio
import logging
import ssl
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from job_item.connections import Connection

Take = Callable[[str, bytes], Awaitable[None]]
"""Is given the subject and the body of a message."""
ANSWER_S = 10
CLOSE_S = 60
PAUSE_S = 0.5
_LOGGER = logging.getLogger("job_manager")


class Line(ABC):
    """One connection. Every method raises one of `failures` when it is of no use any more; `lost` is set, too."""

    failures: ClassVar[tuple[type[Exception], ...]]

    def __init__(self, settings: Any, take: Take) -> None:
        self.settings = settings
        self.take = take
        self.lost = asyncio.Event()

    @abstractmethod
    async def open(self) -> None:
        """Connect."""

    @abstractmethod
    async def publish(self, subject: str, body: bytes) -> bool:
        """Send; tells whether anybody has it."""

    @abstractmethod
    async def subscribe(self, subject: str) -> None:
        """Hear what comes on a subject; the broker has confirmed it when this returns."""

    @abstractmethod
    async def unsubscribe(self, subject: str) -> None:
        """Hear no more of it."""

    @abstractmethod
    async def close(self) -> None:
        """Take what has come, if there is still a way for it, and let go: whoever sends from now on finds nobody."""


def secret_of(settings: Connection) -> str | None:
    """The password."""
    return settings.password.get_secret_value() if settings.password else None


def tls_of(settings: Connection) -> ssl.SSLContext | None:
    """What the connection is made with; None for plain text."""
    if not settings.is_tls:
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    if settings.cert_file and settings.key_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


class Bus:
    """Publishes and hears, over whatever connection there is."""

    def __init__(self, settings: Any, take: Take) -> None:
        self.on_up: Callable[[], None] = lambda: None
        kind = import_module(f"examples.job_manager.{settings.type}_line").BrokerLine
        self._open: Callable[[], Line] = partial(kind, settings, take)
        self._subjects: dict[str, None] = {}
        self._line: Line | None = None
        self._ending = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether there is a connection with everything subscribed."""
        return self._line is not None

    async def publish(self, subject: str, body: bytes) -> bool:
        """Send; False where nobody has it, or the broker is away."""
        return bool(self._line and await self._try(self._line, self._line.publish(subject, body)))

    async def listen(self, subject: str) -> None:
        """Hear what comes on a subject from now on, over all connections to come."""
        self._subjects[subject] = None
        if self._line:
            await self._try(self._line, self._line.subscribe(subject))

    async def leave(self, subject: str) -> None:
        """Hear no more of it."""
        self._subjects.pop(subject, None)
        if self._line:
            await self._try(self._line, self._line.unsubscribe(subject))

    def end(self) -> None:
        """Let `run` come to its end, with all that has come taken."""
        self._ending.set()

    async def run(self) -> None:
        """Be connected."""
        is_told = False
        while not self._ending.is_set():
            line = self._open()
            try:
                async with asyncio.timeout(ANSWER_S):
                    await line.open()
                await self._live(line)
                is_told = False
            except line.failures as error:
                if not is_told:
                    _LOGGER.warning("the broker is away: %s", error)
                is_told = True
            finally:
                self._line = None
                with suppress(*line.failures):
                    async with asyncio.timeout(CLOSE_S):
                        await line.close()
            await asyncio.sleep(PAUSE_S)

    async def _live(self, line: Line) -> None:
        done: dict[str, None] = {}
        while new := [subject for subject in self._subjects if subject not in done]:  # more may be asked for meanwhile
            for subject in new:
                if self._ending.is_set():
                    return
                async with asyncio.timeout(ANSWER_S):
                    await line.subscribe(subject)
            done |= dict.fromkeys(new)
        self._line = line
        self.on_up()
        _LOGGER.info("connected to the broker")
        over = [asyncio.create_task(event.wait()) for event in (line.lost, self._ending)]
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        for one in over:
            one.cancel()
        _LOGGER.info("the connection to the broker is over")

    async def _try(self, line: Line, work: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await work
        except line.failures:
            line.lost.set()
            return None
