"""Messages of one queue of RabbitMQ, in a channel of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from worker.brokers.belt import Belt
from worker.brokers.seam import Delivery, Take

if TYPE_CHECKING:
    from worker.brokers.rabbitmq.life import RabbitmqLife


class RabbitmqSubscription:
    """See `Subscription`."""

    def __init__(self, life: RabbitmqLife, subject: str, take: Take) -> None:
        self._life = life
        self.subject = subject
        self._take = take
        self.belt: Belt[DeliveredMessage] = Belt(self._work, lambda: None)  # `prefetch` bounds it
        self.channel: Channel
        self.tag = ""
        self.is_over = False
        self._open_ends = 0

    async def arrive(self, message: DeliveredMessage) -> None:
        """Called by the library, in a task for each message; they are begun in the order of arrival."""
        self._open_ends += 1
        self.belt.put(message, len(message.body))

    async def _work(self, message: DeliveredMessage) -> None:
        async def accept() -> None:
            await self._end(self.channel.basic_ack(message.delivery_tag or 0, wait=False))

        async def refuse() -> None:
            await self._end(self.channel.basic_reject(message.delivery_tag or 0, requeue=False, wait=False))

        async def give_back() -> None:
            await self._end(self.channel.basic_reject(message.delivery_tag or 0, requeue=True, wait=False))

        await self._take(Delivery(self.subject, message.body, accept, refuse, give_back))

    async def _end(self, work: Coroutine[Any, Any, object]) -> None:
        """One of the three ends of a message; after the last one of a subscription that is over, its channel goes."""
        self._open_ends -= 1
        await self._life.tell(work)
        await self._close_when_done()

    async def cancel(self) -> None:
        """See `Subscription`. The last consumer takes the queue with it, which the Go worker deletes by name."""
        if self.is_over:
            return
        await self._life.tell(self.channel.basic_cancel(self.tag))
        self.is_over = True
        await self._close_when_done()

    async def _close_when_done(self) -> None:
        if self.is_over and not self._open_ends:
            await self._life.tell(self.channel.close())
