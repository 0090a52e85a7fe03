"""Redis: PUBLISH and SUBSCRIBE, each with a connection of its own; PUBLISH says how many heard it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from examples.job_manager.bus import LineLost, Take
from examples.job_manager.tls import authority_of
from job_item.connections import RedisConnection

ANSWER_S = 5.0
OWN = "job_manager.own"
"""A subscription that is always there: a connection without one would not wait for messages."""


class RedisLine:
    """See `Line`."""

    def __init__(self, client: Redis, take: Take) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = client
        self._heard = client.pubsub()
        self._take = take
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: RedisConnection, take: Take) -> RedisLine:
        """Connect."""
        address = settings.addresses[0]
        client = Redis(
            host=address.host,
            port=address.port,
            db=settings.db,
            username=settings.user,
            password=settings.password.get_secret_value() if settings.password else None,
            socket_connect_timeout=ANSWER_S,
            health_check_interval=0,
            **authority_of(settings),
        )
        line = cls(client, take)
        try:
            await line._heard.subscribe(OWN)
        except (RedisError, OSError) as error:
            await line.close()
            raise LineLost(str(error)) from error
        line._listening = asyncio.get_running_loop().create_task(line._listen())
        return line

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        try:
            return int(await self._client.publish(subject, body)) > 0
        except (RedisError, OSError) as error:
            self._end()
            raise LineLost(str(error)) from error

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""
        confirmed = self._confirmed[subject] = asyncio.get_running_loop().create_future()
        try:
            await self._heard.subscribe(subject)
            async with asyncio.timeout(ANSWER_S):
                await confirmed
        except (RedisError, OSError, TimeoutError) as error:
            self._end()
            raise LineLost(str(error)) from error

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`."""
        with suppress(RedisError, OSError):
            await self._heard.unsubscribe(subject)

    async def close(self) -> None:
        """See `Line`."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        with suppress(Exception):
            await self._heard.aclose()  # type: ignore[no-untyped-call]  # the library's
        with suppress(Exception):
            await self._client.aclose()

    def _end(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def _listen(self) -> None:
        try:
            async for message in self._heard.listen():
                await self._sort(message)
        except (RedisError, OSError):
            pass
        finally:
            self._end()

    async def _sort(self, message: dict[str, Any]) -> None:
        subject = message["channel"].decode()
        if message["type"] == "subscribe" and (confirmed := self._confirmed.pop(subject, None)):
            confirmed.set_result(None)
        elif message["type"] == "message":
            await self._take(subject, message["data"])
