"""NATS: plain publish and subscribe. A reply subject makes the server say when nobody hears a message (status 503).

That comes before its answer to what is asked next, so its absence then means that somebody heard.
"""

from __future__ import annotations

import asyncio
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
        self._answers: Subscription
        self._publishing = asyncio.Lock()
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
        self._answers = await self._client.subscribe(self._inbox)

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        async with self._publishing:
            await self._client.publish(subject, body, self._inbox)
            await self._client.flush(ANSWER_S)
            is_heard = True
            while self._answers.pending_msgs:
                answer = await self._answers.next_msg()
                is_heard &= (answer.headers or {}).get("Status") != "503"
            return is_heard

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
