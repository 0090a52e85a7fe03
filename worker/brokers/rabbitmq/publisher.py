"""Publishes to RabbitMQ on one channel, so that one message follows another, and learns what became of those asked for.

The channel is in confirm mode: of a message that is mandatory the server says whether a queue has it, of all others its
answer is let go. The library would wait for each confirmation in a task of its own, one publish at a time.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from aiormq.channel import Channel
from pamqp import commands as spec
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from worker.brokers.rabbitmq.words import marshalled

PLAIN = "text/plain"


class Publisher:
    """Puts messages into frames; whoever holds it writes them at once, in the order of the calls."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._tags = count(1)
        self._let_go: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._let_go.set_result(None)

    def message(self, exchange: str, key: str, body: bytes) -> bytes:
        """The frames of a message of which nobody wants to know more."""
        self.channel.confirmations[next(self._tags)] = self._let_go
        return self._frames(exchange, key, body, spec.Basic.Properties(content_type=PLAIN), is_mandatory=False)

    def asked(self, exchange: str, key: str, body: bytes) -> tuple[bytes, asyncio.Future[Any]]:
        """The frames of a message, and the server's answer, for `is_taken`."""
        tag, channel = next(self._tags), self.channel
        name = str(tag)  # a message that comes back is known by it
        answer = channel.confirmations[tag] = asyncio.get_running_loop().create_future()
        channel.message_id_delivery_tag[name] = tag
        answer.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(name, None))
        properties = spec.Basic.Properties(content_type=PLAIN, message_id=name)
        return self._frames(exchange, key, body, properties, is_mandatory=True), apart(answer)

    def outstanding(self) -> list[asyncio.Future[Any]]:
        """The server's answers to all that it has not answered yet."""
        answers = self.channel.confirmations
        for tag in [tag for tag, answer in answers.items() if answer is self._let_go]:
            answers[tag] = answer = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_let_go)
        return [answer for answer in answers.values() if isinstance(answer, asyncio.Future)]

    def _frames(
        self, exchange: str, key: str, body: bytes, properties: spec.Basic.Properties, *, is_mandatory: bool
    ) -> bytes:
        size = self.channel.max_content_size
        frames: list[Frame | ContentHeader | ContentBody] = [
            spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=is_mandatory),
            ContentHeader(0, len(body), properties),
        ]
        frames += [ContentBody(body[begin : begin + size]) for begin in range(0, len(body), size)]
        return marshalled(self.channel.number, frames)


def apart(answer: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """What comes of an answer, for somebody who may be cancelled: the library's own future must stay as it is, as the
    reader of its channel dies when it cannot resolve it, and the whole connection is stuck then."""
    shown: asyncio.Future[Any] = answer.get_loop().create_future()

    def show(done: asyncio.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if shown.done():
            return
        if done.cancelled():
            shown.cancel()
        elif error is not None:
            shown.set_exception(error)
        else:
            shown.set_result(done.result())

    answer.add_done_callback(show)
    return shown


def _let_go(answer: asyncio.Future[Any]) -> None:
    """Of no interest but that it came: the loop is not to complain of an error that nobody has looked at."""
    if not answer.cancelled():
        answer.exception()


def is_taken(answer: object) -> bool:
    """Whether a queue has the message; otherwise it has come back."""
    return isinstance(answer, spec.Basic.Ack)
