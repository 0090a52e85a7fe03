"""NATS: plain publish and subscribe. A reply subject makes the server say when nobody hears a message (status 503).

A message to ourselves that follows comes back after that answer, so its absence means that somebody heard.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from examples.job_manager.bus import LineLost, Take
from examples.job_manager.tls import context_of
from job_item.connections import NatsConnection

ANSWER_S = 5


class NatsLine:
    """See `Line`."""

    def __init__(self, client: Client, take: Take) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._client = client
        self._take = take
        self._subscribed: dict[str, Subscription] = {}
        self._inbox = client.new_inbox()
        self._numbers = itertools.count()
        self._unheard: set[str] = set()
        self._marks: dict[str, asyncio.Future[None]] = {}

    @classmethod
    async def open(cls, settings: NatsConnection, take: Take) -> NatsLine:
        """Connect."""
        client = Client()
        line: NatsLine | None = None

        async def end() -> None:
            if line is not None and not line.lost.done():
                line.lost.set_result(None)

        async def ignore(_: Exception) -> None:
            return

        secret = settings.password.get_secret_value() if settings.password else None
        token = settings.token.get_secret_value() if settings.token else None
        is_token = settings.auth == "token"
        try:
            await client.connect(
                [f"nats://{each.host}:{each.port}" for each in settings.addresses],
                name="job_manager",
                user=None if is_token else settings.user,
                password=None if is_token else secret,
                token=token if is_token else None,
                tls=context_of(settings),
                allow_reconnect=False,
                connect_timeout=ANSWER_S,
                disconnected_cb=end,
                closed_cb=end,
                error_cb=ignore,
            )
            line = cls(client, take)
            await client.subscribe(f"{line._inbox}.*", cb=line._on_answer)
            await client.flush(ANSWER_S)
        except (Error, OSError, TimeoutError) as error:
            raise LineLost(str(error)) from error
        return line

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        reply, mark = (f"{self._inbox}.{next(self._numbers)}" for _ in range(2))
        came = self._marks[mark] = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(subject, body, reply)
            await self._client.publish(mark)
            async with asyncio.timeout(ANSWER_S):
                await came
        except (Error, OSError, TimeoutError) as error:
            raise LineLost(str(error)) from error
        if reply in self._unheard:
            self._unheard.discard(reply)
            return False
        return True

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""

        async def hear(message: Msg) -> None:
            await self._take(message.subject, message.data)

        try:
            self._subscribed[subject] = await self._client.subscribe(subject, cb=hear)
            await self._client.flush(ANSWER_S)
        except (Error, OSError, TimeoutError) as error:
            raise LineLost(str(error)) from error

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`."""
        with suppress(Error, KeyError):
            await self._subscribed.pop(subject).unsubscribe()

    async def close(self) -> None:
        """See `Line`."""
        with suppress(Exception):
            await self._client.close()

    async def _on_answer(self, message: Msg) -> None:
        if mark := self._marks.pop(message.subject, None):
            mark.set_result(None)
        elif (message.headers or {}).get("Status") == "503":
            self._unheard.add(message.subject)
