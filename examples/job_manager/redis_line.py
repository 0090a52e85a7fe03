"""Redis: PUBLISH and SUBSCRIBE, each with a connection of its own; PUBLISH says how many heard it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from examples.job_manager.bus import ANSWER_S, Line, Take, secret_of

OWN = "job_manager.own"
"""A subscription that is always there: a connection without one would not wait for messages."""


class BrokerLine(Line):
    """See `Line`."""

    failures = (RedisError, OSError)

    def __init__(self, settings: Any, take: Take) -> None:
        super().__init__(settings, take)
        address = settings.addresses[0]
        tls = {"ca_certs": settings.ca_file, "certfile": settings.cert_file, "keyfile": settings.key_file}
        self._client = Redis(
            host=address.host,
            port=address.port,
            db=settings.db,
            username=settings.user,
            password=secret_of(settings),
            socket_connect_timeout=ANSWER_S,
            **({"ssl": True} | {f"ssl_{name}": path for name, path in tls.items()} if settings.is_tls else {}),
        )
        self._heard = self._client.pubsub()
        self._confirmed: dict[str, asyncio.Future[None]] = {}
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """See `Line`."""
        await self._heard.subscribe(OWN)
        self._listening = asyncio.create_task(self._listen())

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        return int(await self._client.publish(subject, body)) > 0

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""
        confirmed = self._confirmed[subject] = asyncio.get_running_loop().create_future()
        await self._heard.subscribe(subject)
        await confirmed

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`."""
        await self._heard.unsubscribe(subject)

    async def close(self) -> None:
        """See `Line`."""
        if self._listening:
            if not self.lost.is_set():
                await self._heard.unsubscribe()
                await self.lost.wait()  # when the last of them is confirmed
            self._listening.cancel()
            await asyncio.wait({self._listening})
        await self._heard.aclose()  # type: ignore[no-untyped-call]  # the library's
        await self._client.aclose()

    async def _listen(self) -> None:
        with suppress(*self.failures):
            async for message in self._heard.listen():
                subject = message["channel"].decode()
                if message["type"] == "message":
                    await self.take(subject, message["data"])
                elif confirmed := self._confirmed.pop(subject, None):
                    confirmed.set_result(None)
        self.lost.set()
