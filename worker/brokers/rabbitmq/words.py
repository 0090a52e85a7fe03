"""What a RabbitMQ server says, in words, and what it is told, in frames."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiormq import exceptions
from aiormq.channel import Channel
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from job_item.errors import NodeError
from worker.brokers.failure import why

ANSWER_S = 60.0
"""How long the server may take for an answer. One that deletes thousands of queues needs ten seconds and more; whether
its connection lives is found out by probes meanwhile, so this is for answers that got lost."""

DEPRECATED = "transient_nonexcl_queues"
PERMIT = f"Set deprecated_features.permit.{DEPRECATED} = true in rabbitmq.conf; this protocol has such queues."
_OTHER_FLAGS = (
    "Somebody declared the queue with other flags than the protocol wants (not durable, auto-delete, not exclusive): "
    "delete it, and let its maker use these flags."
)


def is_open(channel: Channel) -> bool:
    """Whether the server still takes frames on a channel: on one that it has closed they end the whole connection."""
    return not channel.is_closed and channel._close_exception is None


def marshalled(number: int, frames: Iterable[Frame | ContentHeader | ContentBody]) -> bytes:
    """Frames of the channel of this number, as they are written."""
    return b"".join(marshal(frame, number) for frame in frames)


def explain(error: BaseException) -> str:
    """What the server said, as `406 PRECONDITION_FAILED ...`; for anything else the reason in words."""
    if isinstance(error, exceptions.AMQPError) and error.args:
        return " ".join(str(part) for part in error.args)
    return str(error) if isinstance(error, NodeError) else why(error)


def remedy_of(error: exceptions.AMQPChannelError) -> str | None:
    """What to do about a queue that the server refuses, if that is known."""
    return _OTHER_FLAGS if isinstance(error, exceptions.ChannelPreconditionFailed) else None


def reason_of(closed: asyncio.Future[Any]) -> str:
    """Why a channel or connection was closed."""
    if closed.cancelled():
        return "the link was silent for too long"
    error = closed.exception()
    if error is None or isinstance(error, asyncio.CancelledError):
        return "it was ended"
    return explain(error)
