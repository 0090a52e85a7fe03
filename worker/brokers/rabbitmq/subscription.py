"""Messages of one queue of RabbitMQ, in a channel of its own or in the shared one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from aiormq.abc import ArgumentsType, DeliveredMessage
from aiormq.channel import Channel
from pamqp import commands as spec
from pamqp.base import Frame

from job_item.errors import NodeError
from worker.brokers.belt import Belt
from worker.brokers.rabbitmq.shared import NotShared, SharedChannel
from worker.brokers.rabbitmq.words import reason_of
from worker.brokers.seam import Delivery, Take

if TYPE_CHECKING:
    from worker.brokers.rabbitmq.life import RabbitmqLife


BEHIND: ArgumentsType = {"x-priority": -1}
"""What makes the server prefer all consumers that have said nothing, Go workers among them."""


class RabbitmqSubscription:
    """See `Subscription`. `shared` is the channel that it shares; None where it has its own."""

    def __init__(self, life: RabbitmqLife, subject: str, take: Take, prefetch: int) -> None:
        self._life = life
        self.subject = subject
        self._take = take
        self.belt: Belt[DeliveredMessage] = Belt(self._work, lambda: None)  # `prefetch` bounds it
        self.channel: Channel
        self.shared: SharedChannel | None = None
        self.tag = ""
        self._prefetch = prefetch
        self.is_over = False
        self._open_ends = 0

    async def arrive(self, message: DeliveredMessage) -> None:
        """Called by the library, in a task for each message; they are begun in the order of arrival."""
        self._open_ends += 1
        self.belt.put(message, len(message.body))

    async def _work(self, message: DeliveredMessage) -> None:
        tag, channel = message.delivery_tag or 0, cast(Channel, message.channel)

        async def accept() -> None:
            await self._end(channel, spec.Basic.Ack(delivery_tag=tag))

        async def refuse() -> None:
            await self._end(channel, spec.Basic.Reject(delivery_tag=tag, requeue=False))

        async def give_back() -> None:
            await self._end(channel, spec.Basic.Reject(delivery_tag=tag, requeue=True))

        await self._take(Delivery(self.subject, message.body, accept, refuse, give_back))

    async def _end(self, channel: Channel, end: Frame) -> None:
        """One of the three ends of a message; after the last one of a subscription that is over, its channel goes."""
        self._open_ends -= 1
        self._life.say(channel, end)
        await self._close_when_done()

    async def open(self) -> None:
        """Declare the queue with exactly the flags of the protocol, and consume it on a channel of its own.

        Raises what the library raises.
        """
        life, subject = self._life, self.subject
        self.channel = await life.channel()
        await self.channel.queue_declare(subject, durable=False, auto_delete=True, exclusive=False)
        exchange, key = life.route(subject)
        if exchange:
            await self.channel.queue_bind(subject, exchange, key)
        self.channel.on_consumer_cancel_callbacks.add(
            lambda _: life.end(f"the server cancelled the consumer of {subject}; its queue may have been deleted")
        )
        await self.consume()

    def watch(self) -> None:
        """From now on the end of the channel is the end of the connection, unless nothing more is wanted here."""

        def closed(done: asyncio.Future[Any]) -> None:
            self.belt.clear()  # the server has them all
            if not self.is_over:
                self._life.end(f"the channel of {self.subject} was closed: {reason_of(done)}")

        self.channel.closing.add_done_callback(closed)

    async def consume(self, *, is_behind: bool = False) -> None:
        """Consume the queue. Raises what the library raises."""
        channel = self.channel
        await channel.basic_qos(prefetch_count=1 if is_behind else self._prefetch)
        consuming = await channel.basic_consume(self.subject, self.arrive, arguments=BEHIND if is_behind else None)
        self.tag = consuming.consumer_tag or ""

    async def stand(self, *, is_behind: bool) -> None:
        """See `Subscription`: another consumer, which is there before the first one goes and the queue with it."""
        if self.is_over or self.shared is not None:
            return
        before = self.tag
        await self._life.ask(self.consume(is_behind=is_behind))
        await self._life.ask(self.channel.basic_cancel(before))
        if is_behind:
            for message in self.belt.clear():
                await self._end(self.channel, spec.Basic.Reject(delivery_tag=message.delivery_tag or 0, requeue=True))

    async def cancel(self) -> None:
        """See `Subscription`. The last consumer takes the queue with it, which the Go worker deletes by name."""
        if self.is_over:
            return
        if self.shared is not None:
            self.is_over = True
            with suppress(NotShared, NodeError):
                await self.shared.remove(self)
            return
        await self._life.tell(self.channel.basic_cancel(self.tag))
        self.is_over = True
        await self._close_when_done()

    def leave(self) -> None:
        """See `Subscription`."""
        if self.shared is None:
            self._life.begin(self.cancel())
        elif not self.is_over:
            self.is_over = True
            self.shared.leave(self)

    async def _close_when_done(self) -> None:
        if self.is_over and not self._open_ends and self.shared is None:
            await self._life.tell(self.channel.close())
