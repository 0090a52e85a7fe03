"""NATS: plain publish and subscribe. A reply subject makes the server say when nobody hears a message (status 503).

A message to ourselves that follows comes back after that answer, so its absence means that somebody heard.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error

from examples.job_manager.bus import ANSWER_S, Line, Take, secret_of, tls_of


class BrokerLine(Line):
    """See `Line`."""

    failures = (Error, OSError)

    def __init__(self, settings: Any, take: Take) -> None:
        super().__init__(settings, take)
        self._client = Client()
        self._inbox = self._client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[bool]] = {}
        self._subscribed: dict[str, Subscription] = {}

    async def open(self) -> None:
        """See `Line`."""

        async def end(_: object = None) -> None:
            self.lost.set()

        async def ignore(_: Exception) -> None:
            return

        settings = self.settings
        is_token = settings.auth == "token"
        await self._client.connect(
            [f"nats://{each.host}:{each.port}" for each in settings.addresses],
            name="job_manager",
            user=None if is_token else settings.user,
            password=None if is_token else secret_of(settings),
            token=settings.token.get_secret_value() if is_token else None,
            tls=tls_of(settings),
            allow_reconnect=False,
            disconnected_cb=end,
            closed_cb=end,
            error_cb=ignore,
        )
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        reply = f"{self._inbox}.{next(self._numbers)}"
        heard = self._waiting[reply] = asyncio.get_running_loop().create_future()
        try:
            await self._client.publish(subject, body, reply)
            await self._client.publish(reply)
            return bool(await heard)
        finally:
            del self._waiting[reply]

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""

        async def hear(message: Msg) -> None:
            await self.take(message.subject, message.data)

        self._subscribed[subject] = await self._client.subscribe(subject, cb=hear)
        await self._client.flush(ANSWER_S)

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`."""
        if subscription := self._subscribed.pop(subject, None):
            await subscription.unsubscribe()

    async def close(self) -> None:
        """See `Line`."""
        if self._client.is_connected:
            await self._client.drain()
        await self._client.close()

    async def _on_answer(self, message: Msg) -> None:
        """What comes first on a reply subject decides: the 503 of the server, or our own message."""
        heard = self._waiting.get(message.subject)
        if heard and not heard.done():
            heard.set_result((message.headers or {}).get("Status") != "503")
