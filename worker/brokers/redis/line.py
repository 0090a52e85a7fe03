"""One connection to a Redis server: commands go out in order, answers come in the same order, messages between them.

What is asked at about the same time is written at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import Connection as Wire
from redis.asyncio.connection import SSLConnection
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from job_item.connections import RedisConnection
from job_item.errors import Unavailable
from worker.brokers.burst import Burst
from worker.brokers.failure import why
from worker.brokers.redis.subscription import RedisSubscription
from worker.brokers.tls import tls_context

if TYPE_CHECKING:
    from worker.brokers.redis.life import RedisLife

CONNECT_S = 5.0
DRAIN_S = 60.0
BACKLOG_BYTES = 1 << 20
"""What may wait for the link before who asks for more has to wait too."""


class Line:
    """One connection: commands go out in order, and answers come in the same order, messages between them."""

    def __init__(self, life: RedisLife, wire: Wire, subscriptions: dict[bytes, list[RedisSubscription]]) -> None:
        self.number = 0
        """What the server calls this connection; 0 where nobody has asked."""
        self._life = life
        self._wire = wire
        self._subscriptions = subscriptions
        self._awaited: deque[asyncio.Future[Any]] = deque()
        self._burst = Burst(self._write)
        self._reader: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Connect and log in. Raises what the library raises."""
        await self._wire.connect()  # type: ignore[no-untyped-call]  # the library's
        self._reader = self._loop.create_task(self._read())

    async def ask(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """Send a command; the future has its answer. Raises Unavailable when the connection is lost.

        Its error need not be fetched.
        """
        answer = self.tell(*command)
        if self._backlog_bytes() >= BACKLOG_BYTES:
            await self._life.during(self._drain(), DRAIN_S)
        return answer

    def tell(self, *command: str | bytes | int) -> asyncio.Future[Any]:
        """As `ask`, where the link may take its time."""
        self._life.check()
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._awaited.append(answer)
        self._burst.put(*self._wire.pack_command(*command))
        return answer

    def _write(self, pieces: list[bytes]) -> None:
        if self._wire._writer is not None:
            self._wire._writer.writelines(pieces)

    def _backlog_bytes(self) -> int:
        writer = self._wire._writer
        return self._burst.size_bytes + (writer.transport.get_write_buffer_size() if writer is not None else 0)

    async def _drain(self) -> None:
        """Return when the link has taken nearly all that was asked."""
        try:
            if self._wire._writer is not None:
                await self._wire._writer.drain()
        except OSError as error:
            self._life.end(why(error))
            self._life.check()

    async def flush(self) -> None:
        """Return when all that was asked has been answered."""
        if self._awaited:
            await asyncio.wait((self._awaited[-1],))

    async def _read(self) -> None:
        """Read to the end of this life."""
        try:
            while True:
                try:
                    await self._take(await self._wire.read_response(timeout=math.inf, disconnect_on_error=False))
                except (ResponseError, AuthenticationError) as error:
                    self._answer(error)
        except (RedisError, OSError, Unavailable) as error:
            self._life.end(why(error) if not isinstance(error, RedisError) else "the server ended the connection")
        finally:
            gone = Unavailable("ERR-BRK-002", f"{self._life.place}: the connection is lost")
            while self._awaited:
                self._answer(gone)

    async def _take(self, response: Any) -> None:
        match response:
            case [b"message", bytes(subject), bytes(body)]:
                for subscription in list(self._subscriptions.get(subject, ())):
                    await self._life.arrive(subscription, body)
            case _:
                self._answer(response)

    def _answer(self, response: Any) -> None:
        if not self._awaited:  # e.g. the reason why the server is about to hang up
            return
        answer = self._awaited.popleft()
        if answer.done():
            return
        if isinstance(response, Exception):
            answer.set_exception(response)
            answer.exception()  # nobody has to fetch it
        else:
            answer.set_result(response)

    async def close(self) -> None:
        """Hang up without waiting for the other end."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait((self._reader,))
        # A link that takes nothing would hold the socket until the kernel gives up; the library has no word for that.
        if self._wire._writer is not None:
            self._wire._writer.transport.abort()
        with suppress(RedisError, OSError):
            await self._wire.disconnect(nowait=True)


def wire_of(settings: RedisConnection) -> Wire:
    """A connection that is not open yet; it neither tries again nor tells the server what library it is."""
    address = settings.addresses[0]
    wanted: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "db": settings.db,
        "username": settings.user,
        "password": settings.password.get_secret_value() if settings.password else None,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "protocol": 2,
        "driver_info": None,
    }
    context = tls_context(settings)
    if context is None:
        return Wire(**wanted)
    wire = SSLConnection(**wanted)
    wire.ssl_context.context = context
    return wire
