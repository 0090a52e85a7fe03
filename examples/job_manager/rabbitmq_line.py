"""RabbitMQ: a subject is a queue of the default exchange, with exactly the flags that all workers declare it with.

`mandatory` and confirms say whether a queue has a message. The queues of the workers (`P.E`, `T_worker`) are never
declared here: where there is none, nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from yarl import URL

from examples.job_manager.bus import Line, Take, secret_of, tls_of


class BrokerLine(Line):
    """See `Line`."""

    failures = (aiormq.AMQPError, OSError, RuntimeError)

    def __init__(self, settings: Any, take: Take) -> None:
        super().__init__(settings, take)
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it has to say, it raises too
        address = settings.addresses[0]
        url = URL.build(
            scheme="amqps" if settings.is_tls else "amqp",
            user=settings.user,
            password=secret_of(settings),
            host=address.host,
            port=address.port,
            path=f"/{settings.virtual_host}",
        )
        self._wire = aiormq.Connection(url, context=tls_of(settings))
        self._talking: AbstractChannel
        self._listening: AbstractChannel
        self._tags: dict[str, str] = {}

    async def open(self) -> None:
        """See `Line`."""
        await self._wire.connect()
        self._talking = await self._wire.channel(publisher_confirms=True, on_return_raises=True)
        self._listening = await self._wire.channel()
        for closing in (self._wire.closing, self._talking.closing, self._listening.closing):
            closing.add_done_callback(self._end)

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        properties = aiormq.spec.Basic.Properties(content_type="text/plain")
        try:
            await self._talking.basic_publish(body, routing_key=subject, properties=properties, mandatory=True)
        except aiormq.exceptions.DeliveryError:  # no queue of that name: it came back
            return False
        return True

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""
        await self._listening.queue_declare(subject, durable=False, auto_delete=True, exclusive=False, nowait=True)
        consuming = await self._listening.basic_consume(subject, partial(self._hear, subject), no_ack=True)
        self._tags[subject] = consuming.consumer_tag or ""

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`. The queue goes with its last consumer."""
        if tag := self._tags.pop(subject, None):
            await self._listening.basic_cancel(tag)

    async def close(self) -> None:
        """See `Line`."""
        if self._tags and not self.lost.is_set():
            await asyncio.gather(*map(self._listening.basic_cancel, self._tags.values()))
        async with asyncio.timeout(1):
            await self._wire.close()

    async def _hear(self, subject: str, message: DeliveredMessage) -> None:
        await self.take(subject, message.body)

    def _end(self, done: asyncio.Future[object]) -> None:
        if not done.cancelled():
            done.exception()  # it is read, whatever it is
        self.lost.set()
