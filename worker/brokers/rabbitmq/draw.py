"""Consumes one quorum queue, on a channel of its own: as many messages at a time as there are slots."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from job_item.errors import NodeError, Unavailable
from worker.brokers.queues import Loan
from worker.brokers.rabbitmq.words import reason_of

if TYPE_CHECKING:
    from worker.brokers.rabbitmq.life import RabbitmqLife

MakeLoan = Callable[["RabbitmqQueue", DeliveredMessage], Loan]


class RabbitmqQueue:
    """See `Queue`."""

    def __init__(self, life: RabbitmqLife, subject: str, slots: int, make: MakeLoan) -> None:
        self._life = life
        self.subject = subject
        self._slots = slots
        self._lent = 0
        self._make = make
        self.channel: Channel
        self._tag = ""
        self._resting = 0
        self._came: deque[DeliveredMessage] = deque()
        self._news = asyncio.Event()
        self._is_over = False
        self._widening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to consume. Raises what the library raises."""
        self.channel = await self._life.channel()
        self.channel.closing.add_done_callback(self._closed)
        self.channel.on_consumer_cancel_callbacks.add(
            lambda _: self._life.end(f"the server cancelled the consumer of {self.subject}")
        )
        await self._consume()

    async def _consume(self) -> None:
        await self.channel.basic_qos(prefetch_count=min(self._slots + self._resting, 65_535))
        consuming = await self.channel.basic_consume(self.subject, self._take, no_ack=False)
        self._tag = consuming.consumer_tag or ""

    def _closed(self, done: asyncio.Future[Any]) -> None:
        """What was lent on this channel is not ours any more: the whole connection is made anew, and says so."""
        if not self._is_over:
            self._life.end(f"the channel of {self.subject} was closed: {reason_of(done)}")

    async def _take(self, message: DeliveredMessage) -> None:
        self._came.append(message)
        self._news.set()

    async def borrow(self, limit: int) -> Sequence[Loan]:
        """See `Queue`."""
        while not self._came:
            self._life.check()
            self._news.clear()
            news: asyncio.Future[Any] = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait({news, self._life.lost}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
        self._life.check()
        return [self._lend(self._came.popleft()) for _ in range(min(limit, len(self._came)))]

    def _lend(self, message: DeliveredMessage) -> Loan:
        self._lent += 1
        return self._make(self, message)

    async def returned(self) -> None:
        """One of the loans is over; after the last one of a queue that is closed, its channel goes."""
        self._lent -= 1
        await self._close_when_done()

    async def _close_when_done(self) -> None:
        if self._is_over and not self._lent and not self.channel.is_closed:
            with suppress(NodeError):
                await self._life.ask(self.channel.close())

    def widen(self, resting: int) -> None:
        """See `Queue`: another consumer, with more room, takes the place of the one that there is."""
        if resting > self._resting and not self._is_over and not self._life.lost.done():
            self._resting = resting * 2
            if self._widening is None or self._widening.done():
                self._widening = asyncio.ensure_future(self._replace())

    async def _replace(self) -> None:
        before = self._tag
        with suppress(NodeError):
            await self._life.ask(self._consume())
            await self._life.ask(self.channel.basic_cancel(before))

    async def close(self) -> None:
        """See `Queue`. The channel stays, as what was lent on it is still to be acknowledged."""
        self._is_over = True
        if self._widening is not None:
            await asyncio.wait({self._widening})
        with suppress(NodeError):
            self._life.check()
            await self._life.ask(self.channel.basic_cancel(self._tag))
        queues = self._life.queues
        while self._came:
            loan = self._lend(self._came.popleft())
            with suppress(NodeError, Unavailable):
                if queues is not None:
                    await queues.give_back(loan, loan.runs)
        await self._close_when_done()
