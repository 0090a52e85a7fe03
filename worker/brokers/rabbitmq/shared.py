"""One channel for all subscriptions on which little comes: those of the tasks that run or wait here.

A channel for each costs both sides more than the subscription itself. What is wanted is sent at once without waiting
for an answer to each, and one answer to what is asked behind it confirms all. A server that refuses one closes the
channel for all: the others are then made again on a new one, and each that was not confirmed tries in a channel of its
own, where the reason is known. From then on all that are new do, as another refusal must not disturb anybody.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

from aiormq import exceptions
from aiormq.channel import Channel
from pamqp import commands as spec
from pamqp.base import Frame

from worker.brokers.rabbitmq.words import ANSWER_S, explain, reason_of

if TYPE_CHECKING:
    from worker.brokers.rabbitmq.life import RabbitmqLife
    from worker.brokers.rabbitmq.subscription import RabbitmqSubscription

PREFETCH = 16
"""Of each subject. With one message at a time the second of a subject waits for the first to be acknowledged, and what
another subject has meanwhile overtakes it: a follower would hear the end of a job before the rest of its output."""


class NotShared(Exception):  # noqa: N818 - it says what is
    """The channel was closed before the server had confirmed this."""


class SharedChannel:
    """The channel, and who is on it."""

    def __init__(self, life: RabbitmqLife) -> None:
        self.is_wary = False
        """Something was refused: what is new has a channel of its own."""
        self._life = life
        self._channel: Channel
        self._there: dict[str, RabbitmqSubscription] = {}
        self._asking: list[tuple[str, asyncio.Future[None]]] = []
        self._leaving: list[RabbitmqSubscription] = []
        self._confirming: asyncio.Task[None] | None = None
        self._numbers = count(1)

    async def open(self) -> None:
        """Open the channel. Raises what the library raises."""
        channel = self._channel = await self._life.channel()
        await self._life.confirm(channel, PREFETCH)
        channel.on_consumer_cancel_callbacks.add(lambda frame: self._cancelled(frame.consumer_tag or ""))
        channel.closing.add_done_callback(lambda done: self._closed(channel, done))

    async def add(self, subscription: RabbitmqSubscription) -> None:
        """Declare the queue of a subject and consume it. Raises `NotShared`, `Unavailable`."""
        subscription.tag = f"s{next(self._numbers)}"
        self._consume(subscription)
        await self._seen(subscription.tag)
        subscription.shared = self

    async def remove(self, subscription: RabbitmqSubscription) -> None:
        """Consume no more; what the server sent before has come when this returns. Raises as `add`."""
        self.leave(subscription)
        await self._seen("")

    def leave(self, subscription: RabbitmqSubscription) -> None:
        """As `remove`, without waiting: what the server sent before comes until it has next answered something."""
        self._there.pop(subscription.tag, None)
        self._life.say(subscription.channel, spec.Basic.Cancel(consumer_tag=subscription.tag, nowait=True))
        self._leaving.append(subscription)

    def _consume(self, subscription: RabbitmqSubscription) -> None:
        channel, tag, subject = self._channel, subscription.tag, subscription.subject
        subscription.channel, self._there[tag] = channel, subscription
        channel.consumers[tag] = subscription.arrive
        frames: list[Frame] = [spec.Queue.Declare(queue=subject, auto_delete=True, nowait=True)]
        exchange, key = self._life.route(subject)
        if exchange:
            frames.append(spec.Queue.Bind(queue=subject, exchange=exchange, routing_key=key, nowait=True))
        frames.append(spec.Basic.Consume(queue=subject, consumer_tag=tag, nowait=True))
        self._life.say(channel, *frames)

    async def _seen(self, tag: str) -> None:
        """Return when the server has seen all that was said before; `tag` is who needs that to be there."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.append((tag, answer))
        if self._confirming is None:
            self._confirming = asyncio.get_running_loop().create_task(self._confirm())
        await self._life.answered(answer, ANSWER_S)

    async def _confirm(self) -> None:
        """Ask the server as long as somebody wants to know; those who come meanwhile share the next answer."""
        while self._asking:
            asked, self._asking = self._asking, []
            leaving, self._leaving = self._leaving, []
            try:
                await self._life.confirm(self._channel, PREFETCH)
            except (exceptions.AMQPChannelError, exceptions.ChannelInvalidStateError):
                await self._recover(asked + self._asking)
            except Exception as error:
                self._life.end(explain(error))
            else:
                for subscription in leaving:
                    subscription.channel.consumers.pop(subscription.tag, None)
                for _, answer in asked:
                    if not answer.done():
                        answer.set_result(None)
        self._confirming = None

    async def _recover(self, asked: list[tuple[str, asyncio.Future[None]]]) -> None:
        """The server has refused something: make what was confirmed anew, and let the others see for themselves."""
        self.is_wary, self._asking = True, []
        for tag, answer in asked:
            self._there.pop(tag, None)
            if not answer.done():
                answer.set_exception(NotShared())
        try:
            await self.open()
            for subscription in tuple(self._there.values()):
                self._consume(subscription)
            await self._life.confirm(self._channel, PREFETCH)
        except Exception as error:
            self._life.end(explain(error))

    def _cancelled(self, tag: str) -> None:
        if (subscription := self._there.get(tag)) is not None:
            self._life.end(f"the server cancelled the consumer of {subscription.subject}; its queue may be deleted")

    def _closed(self, channel: Channel, done: asyncio.Future[Any]) -> None:
        if channel is self._channel and self._confirming is None:
            self._life.end(f"the channel of the tasks was closed: {reason_of(done)}")
