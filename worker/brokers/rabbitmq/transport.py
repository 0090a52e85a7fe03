"""The socket of a connection to RabbitMQ, and what the library wants to know to open it."""

from __future__ import annotations

import asyncio
import math
import ssl
from typing import Any

from aiormq.connection import TransportFactory
from yarl import URL

from job_item.connections import RabbitmqConnection
from worker.brokers.burst import Burst
from worker.brokers.patience import UNKNOWN, Sent, sent_over

HEARTBEAT_S = 10
"""As in the Go worker."""


class Ear(asyncio.StreamReader):
    """Knows when the library last took in something that came."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self.time = loop.time
        self.heard_s = self.time()

    async def readexactly(self, n: int) -> bytes:
        """Called by the library, for each part of a frame."""
        found = await super().readexactly(n)
        self.heard_s = self.time()
        return found


class Transport(TransportFactory):
    """Opens the socket, can close it at once, and writes what is said at about the same time at once."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None
        self._ear: Ear | None = None
        self._burst = Burst(self._write)

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library."""
        loop, ear = asyncio.get_running_loop(), Ear()
        protocol = asyncio.StreamReaderProtocol(ear, loop=loop)
        link = (await loop.create_connection(lambda: protocol, url.host or "", url.port or 0, ssl=self._context))[0]
        self._ear, self._writer = ear, asyncio.StreamWriter(link, protocol, ear, loop)
        return ear, self._writer

    @property
    def heard_s(self) -> float:
        """When a frame last came in, a heartbeat too, by the clock of the loop; minus infinity before it is open."""
        return self._ear.heard_s if self._ear is not None else -math.inf

    @property
    def sent(self) -> Sent:
        """What became of what was sent."""
        return sent_over(self._writer.get_extra_info("socket")) if self._writer is not None else UNKNOWN

    def say(self, frames: bytes) -> None:
        """Write whole frames soon, past the library's queue, which has a task and a lock for each."""
        self._burst.put(frames)

    def push(self) -> None:
        """Write them now: what the library is asked to write next comes after them."""
        self._burst.push()

    @property
    def backlog_bytes(self) -> int:
        """What was said and is not in the hands of the system yet."""
        writer = self._writer
        return self._burst.size_bytes + (writer.transport.get_write_buffer_size() if writer is not None else 0)

    async def drained(self) -> None:
        """Return when the link has taken nearly all of that."""
        if self._writer is not None:
            await self._writer.drain()

    def abort(self) -> None:
        """Close it without waiting for a link that takes nothing."""
        if self._writer is not None:
            self._writer.transport.abort()

    def _write(self, pieces: list[bytes]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.writelines(pieces)


def url_of(settings: RabbitmqConnection) -> URL:
    """What the library wants to know, credentials included: this is shown nowhere."""
    address = settings.addresses[0]
    return URL.build(
        scheme="amqp",
        host=address.host,
        port=address.port,
        user=settings.user,
        password=settings.password.get_secret_value(),
        path=f"/{settings.virtual_host}",
        query={"heartbeat": str(HEARTBEAT_S), "name": settings.name or "job_item"},
    )
