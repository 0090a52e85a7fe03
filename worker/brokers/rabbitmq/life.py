"""One connection to RabbitMQ: a queue for each subject, declared as the Go worker declares it.

Built on aiormq, the protocol layer of aio-pika: what aio-pika adds (its own reconnection, a `mandatory` that is on by
default and logs the bodies that come back, two tasks for each message) is not wanted here. Jobs have a channel for each
subject, so that one that the server closes is known by its subject, and are acknowledged by hand; the subjects of tasks
share one (`shared`). What is published goes over one channel, in its order (`publisher`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar, cast

import aiormq
from aiormq import exceptions, spec
from aiormq.channel import Channel
from pamqp.base import Frame

from job_item.connections import ROUTING_SUBJECT, RabbitmqConnection
from job_item.errors import NodeError, Unavailable
from worker.brokers.failure import connect_failure
from worker.brokers.life import Life
from worker.brokers.rabbitmq.probes import Probes, Trust
from worker.brokers.rabbitmq.publisher import Publisher, is_taken
from worker.brokers.rabbitmq.queues import RabbitmqQueues
from worker.brokers.rabbitmq.shared import NotShared, SharedChannel
from worker.brokers.rabbitmq.subscription import RabbitmqSubscription
from worker.brokers.rabbitmq.transport import Transport, url_of
from worker.brokers.rabbitmq.words import (
    ANSWER_S,
    DEPRECATED,
    PERMIT,
    explain,
    is_open,
    marshalled,
    reason_of,
    remedy_of,
)
from worker.brokers.seam import Take
from worker.brokers.tls import tls_context

Found = TypeVar("Found")

CONNECT_S = 5.0
DRAIN_S = 60.0
BACKLOG_BYTES = 2 << 20
"""What may wait for the link before who publishes more has to wait too."""
CLOSE_S = 2.0
PAYLOAD_LIMIT_BYTES = 16 << 20
"""`max_message_size` of RabbitMQ 4; older ones take more."""


class RabbitmqLife(Life):
    """One life of a connection; see `Connection`."""

    def __init__(self, settings: RabbitmqConnection, project: str) -> None:
        self._settings = settings
        self._address = settings.addresses[0]
        super().__init__(f"rabbitmq {self._address}", settings.secrets())
        self.payload_limit = PAYLOAD_LIMIT_BYTES
        if settings.delivery == "durable":
            self.queues = RabbitmqQueues(self, settings, project)
        self._transport = Transport(tls_context(settings))
        self._wire = aiormq.Connection(url_of(settings), transport_factory=self._transport)
        self._publisher: Publisher
        self._shared = SharedChannel(self)
        self._delivering: Channel
        self._probes = Probes()
        self._is_open = False

    async def open(self) -> None:
        """Connect. Raises as `Broker.connect`."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._wire.connect()
            self._wire.closing.add_done_callback(lambda done: self.end(reason_of(done)))
            await self.during(self._prepare(), ANSWER_S)
            self._is_open = True
        except BaseException as error:
            await self.close()
            if not isinstance(error, Exception) or (isinstance(error, NodeError) and error.code != "ERR-BRK-002"):
                raise
            is_login = isinstance(error, exceptions.ProbableAuthenticationError)
            if isinstance(error, exceptions.InvalidFrameError) and "Connection.OpenOk" in str(error):
                host, is_login = self._settings.virtual_host, True  # the library keeps what the server says to itself
                error = PermissionError(f"the virtual host {host!r} does not exist, or this user may not use it")
            raise connect_failure(self._settings, self._address, error, is_login=is_login) from None

    async def _prepare(self) -> None:
        """Channels to publish on, the exchange if one is named, and a queue of this connection's own for probes."""
        if self._settings.exchange:
            await self._ensure_exchange()
        publishing = await self.channel(is_confirmed=True, raises=False)
        self._publisher = Publisher(publishing)
        self._delivering = await self.channel(is_confirmed=True)
        listening = await self.channel()
        await self._probes.open(listening)
        for channel in (publishing, self._delivering, listening):
            self._watch(channel, "a channel to publish on")
        await self._shared.open()

    async def channel(self, *, is_confirmed: bool = False, raises: bool = True) -> Channel:
        """A new channel; a confirmed one raises what comes back, unless it is to be a result like any other."""
        opened = await self._wire.channel(publisher_confirms=is_confirmed, on_return_raises=is_confirmed and raises)
        return cast(Channel, opened)

    async def _ensure_exchange(self) -> None:
        """Take the exchange as it is; make a durable one where there is none."""
        channel = await self.channel()
        try:
            await channel.exchange_declare(self._settings.exchange, passive=True)
        except exceptions.ChannelNotFoundEntity:
            channel = await self.channel()
            await channel.exchange_declare(
                self._settings.exchange, exchange_type=self._settings.exchange_type, durable=True
            )
        await channel.close()

    def _watch(self, channel: Channel, what: str) -> None:
        channel.closing.add_done_callback(lambda done: self.end(f"{what} was closed: {reason_of(done)}"))

    def route(self, subject: str) -> tuple[str, str]:
        """The exchange and the routing key of a subject."""
        exchange, key = self._settings.exchange, self._settings.routing_key
        return exchange, key.replace(ROUTING_SUBJECT, subject) if exchange else subject

    async def publish(self, subject: str, body: bytes) -> None:
        """See `Connection`. The manager's queues are never declared here; where there is none, the message is gone."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        self._transport.say(self._publisher.message(*self.route(subject), body))
        await self._drain()

    async def deliver(self, subject: str, body: bytes) -> bool:
        """See `Connection`: mandatory and confirmed, so a queue has it or it comes back."""
        self.check()
        self.fit(subject, body, self.payload_limit)
        frames, answer = self._publisher.asked(*self.route(subject), body)
        self._transport.say(frames)
        await self._drain()
        try:
            return is_taken(await self.answered(answer, ANSWER_S))
        except exceptions.DeliveryError:  # the server could not keep it
            return False

    def say(self, channel: Channel, *frames: Frame) -> None:
        """Tell the server something without waiting; it means nothing to a connection or channel that is lost."""
        if not self.lost.done() and is_open(channel):
            self._transport.say(marshalled(channel.number, frames))

    async def confirm(self, channel: Channel, prefetch: int) -> None:
        """Return when the server has seen all that was said on a channel. Raises what the library raises."""
        self._transport.push()
        await channel.basic_qos(prefetch_count=prefetch)

    async def _drain(self) -> None:
        """Wait for a link that takes too little. Raises Unavailable."""
        if self._transport.backlog_bytes >= BACKLOG_BYTES:
            await self.ask(self._transport.drained(), DRAIN_S)

    async def send_durable(
        self, exchange: str, key: str, body: bytes, headers: dict[str, Any], message_id: str
    ) -> None:
        """Send something that a queue has to keep. Raises what the library raises, Unavailable where none has it."""
        known = f"{message_id}.{secrets.token_hex(4)}"
        properties = spec.Basic.Properties(
            content_type="text/plain", delivery_mode=2, headers=headers, message_id=known[:255]
        )
        try:
            await self._delivering.basic_publish(
                body, exchange=exchange, routing_key=key, properties=properties, mandatory=True, wait=True
            )
        except exceptions.DeliveryError:
            raise Unavailable("ERR-BRK-002", f"{self.place}: no queue has taken a message for {key}") from None

    async def ask(self, work: Coroutine[Any, Any, Found], limit_s: float = ANSWER_S) -> Found:
        """Await an answer of the server to what was said and to this; an error is the end of this life."""
        self._transport.push()
        try:
            return await self.during(work, limit_s)
        except (exceptions.AMQPError, RuntimeError, OSError) as error:
            self.end(explain(error))
            raise Unavailable("ERR-BRK-002", self.lost.result()) from error

    async def subscribe(
        self,
        subject: str,
        group: str | None,  # noqa: ARG002 - of the Protocol
        take: Take,
        *,
        prefetch: int | None = None,
    ) -> RabbitmqSubscription:
        """See `Connection`."""
        self.check()
        self.fit_subscription(subject)
        subscription = RabbitmqSubscription(self, subject, take, prefetch or 1)
        try:
            if prefetch is None and not self._shared.is_wary:
                with suppress(NotShared):
                    await self._shared.add(subscription)
                    return subscription
            await self.during(subscription.open(), ANSWER_S)
        except exceptions.AMQPChannelError as error:
            raise NodeError("ERR-BRK-003", self.clean(f"{self.place}: {explain(error)}"), remedy_of(error)) from None
        except (Unavailable, exceptions.AMQPError, RuntimeError, OSError) as error:
            self.end(explain(error))
            if DEPRECATED in self.lost.result():
                raise NodeError("ERR-BRK-003", self.lost.result(), PERMIT) from None
            raise Unavailable("ERR-BRK-002", self.lost.result()) from error
        subscription.watch()
        return subscription

    async def tell(self, work: Coroutine[Any, Any, object]) -> None:
        """Let the server know something about a message; nothing has to be known when the connection is lost."""
        if self.lost.done():
            work.close()
            return
        with suppress(NodeError):
            await self.ask(work)

    async def flush(self) -> None:
        """See `Connection`: the server has it all. Only what is in one queue keeps the order of the channel."""
        self.check()
        if answers := self._publisher.outstanding():
            await self.ask(_all_of(answers))

    async def waiting(self, subject: str) -> int | None:
        """See `Connection`."""
        self.check()
        declared = await self.ask(self._publisher.channel.queue_declare(subject, passive=True))
        return declared.message_count

    async def probe(self, limit_s: float) -> None:
        """See `Connection`: a message to this connection's own queue."""
        self.check()
        with self._probes.sign() as (sign, came):
            trust = Trust(self._transport, came, limit_s)
            self._transport.say(self._publisher.message("", self._probes.queue, sign))
            await self.await_probe(came, limit_s, trust.lasts)

    async def close(self) -> None:
        """See `Connection`."""
        self._transport.push()
        if self._is_open and not self.is_deaf and not self.lost.done():
            with suppress(Exception):  # an answer on the channel that publishes: what was published before is there
                await self.during(self._publisher.channel.basic_qos(prefetch_count=0), CLOSE_S)
        is_of_use = not self.is_deaf and not self.lost.done()
        self.end("closed by this node")
        if is_of_use:
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S):
                    await self._wire.close()
        self._transport.abort()
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_S):
                await self._wire.close()


async def _all_of(answers: list[asyncio.Future[Any]]) -> None:
    """Wait for them, whatever they are."""
    await asyncio.wait(answers)
