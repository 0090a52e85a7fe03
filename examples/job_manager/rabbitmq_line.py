"""RabbitMQ: a subject is a queue of the default exchange, with exactly the flags that all workers declare it with.

`mandatory` and confirms say whether a queue has a message. The queues of the workers (`P.E`, `T_worker`) are never
declared here: where there is none, nobody listens.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from yarl import URL

from examples.job_manager.bus import LineLost, Take
from examples.job_manager.tls import context_of
from job_item.connections import RabbitmqConnection

ANSWER_S = 10.0
_FAILED = (aiormq.AMQPError, OSError, RuntimeError, TimeoutError)


class RabbitmqLine:
    """See `Line`."""

    def __init__(self, wire: aiormq.Connection, take: Take) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._wire = wire
        self._take = take
        self._tags: dict[str, str] = {}
        self._talking: AbstractChannel
        self._listening: AbstractChannel

    @classmethod
    async def open(cls, settings: RabbitmqConnection, take: Take) -> RabbitmqLine:
        """Connect."""
        logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # what it has to say, it raises too
        address = settings.addresses[0]
        url = URL.build(
            scheme="amqps" if settings.is_tls else "amqp",
            user=settings.user,
            password=settings.password.get_secret_value() if settings.password else None,
            host=address.host,
            port=address.port,
            path=f"/{settings.virtual_host}",
        )
        line = cls(aiormq.Connection(url, context=context_of(settings)), take)
        try:
            async with asyncio.timeout(ANSWER_S):
                await line._wire.connect()
                line._talking = await line._wire.channel(publisher_confirms=True, on_return_raises=True)
                line._listening = await line._wire.channel()
        except _FAILED as error:
            await line.close()
            raise LineLost(str(error)) from error
        for closing in (line._wire.closing, line._talking.closing, line._listening.closing):
            closing.add_done_callback(line._end)
        return line

    async def publish(self, subject: str, body: bytes) -> bool:
        """See `Line`."""
        properties = aiormq.spec.Basic.Properties(content_type="text/plain")
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._talking.basic_publish(body, routing_key=subject, properties=properties, mandatory=True)
        except aiormq.exceptions.DeliveryError:  # no queue of that name: it came back
            return False
        except _FAILED as error:
            raise LineLost(str(error)) from error
        return True

    async def subscribe(self, subject: str) -> None:
        """See `Line`."""
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._listening.queue_declare(subject, durable=False, auto_delete=True, exclusive=False)
                consuming = await self._listening.basic_consume(subject, partial(self._hear, subject), no_ack=True)
        except _FAILED as error:
            raise LineLost(str(error)) from error
        self._tags[subject] = consuming.consumer_tag or ""

    async def unsubscribe(self, subject: str) -> None:
        """See `Line`. The queue goes with its last consumer."""
        with suppress(*_FAILED, KeyError):
            await self._listening.basic_cancel(self._tags.pop(subject))

    async def close(self) -> None:
        """See `Line`."""
        with suppress(Exception):
            async with asyncio.timeout(1):
                await self._wire.close()

    async def _hear(self, subject: str, message: DeliveredMessage) -> None:
        await self._take(subject, message.body)

    def _end(self, done: asyncio.Future[object]) -> None:
        if not done.cancelled():
            done.exception()  # it is read, whatever it is
        if not self.lost.done():
            self.lost.set_result(None)
