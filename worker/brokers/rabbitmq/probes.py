"""How a connection to RabbitMQ finds out that it is not deaf: it sends signs to a queue of its own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from worker.brokers.life import PROBE_SUBJECT
from worker.brokers.patience import is_patient
from worker.brokers.rabbitmq.transport import Transport


class Probes:
    """The queue, and the signs that are to come back."""

    def __init__(self) -> None:
        self.queue = PROBE_SUBJECT + secrets.token_hex(8)
        self._awaited: dict[bytes, asyncio.Future[None]] = {}

    async def open(self, channel: Channel) -> None:
        """Make the queue. Raises what the library raises."""
        await channel.queue_declare(self.queue, exclusive=True, auto_delete=True)
        await channel.basic_consume(self.queue, self._arrive, no_ack=True)

    @contextmanager
    def sign(self) -> Iterator[tuple[bytes, asyncio.Future[None]]]:
        """What is to be sent to the queue, and that it has come back."""
        sign = secrets.token_hex(8).encode()
        came = self._awaited[sign] = asyncio.get_running_loop().create_future()
        try:
            yield sign, came
        finally:
            self._awaited.pop(sign, None)

    async def _arrive(self, message: DeliveredMessage) -> None:
        came = self._awaited.get(message.body)
        if came is not None and not came.done():
            came.set_result(None)


class Trust:
    """Whether a server that is silent may only be busy (`worker.brokers.patience`): the queues of this node go with a
    connection that is given up.
    """

    def __init__(self, transport: Transport, came: asyncio.Future[None], limit_s: float) -> None:
        self._transport = transport
        self._came = came
        self._limit_s = limit_s
        self._before = transport.sent
        self._loop = asyncio.get_running_loop()
        self._asked_s = self._loop.time()

    def lasts(self) -> bool:
        """Asked every `limit_s` seconds. A heartbeat is a sign of life as good as the answer, and taken for it."""
        before, self._before = self._before, self._transport.sent
        is_trusted = is_patient(self._loop.time() - self._asked_s, before, self._before, self._limit_s)
        if is_trusted and self._transport.heard_s > self._asked_s and not self._came.done():
            self._came.set_result(None)
        return is_trusted
