"""What a RabbitMQ server says, in words."""

from __future__ import annotations

import asyncio
from typing import Any

from aiormq import exceptions

from job_item.errors import NodeError
from worker.brokers.failure import why


def explain(error: BaseException) -> str:
    """What the server said, as `406 PRECONDITION_FAILED ...`; for anything else the reason in words."""
    if isinstance(error, exceptions.AMQPError) and error.args:
        return " ".join(str(part) for part in error.args)
    return str(error) if isinstance(error, NodeError) else why(error)


def reason_of(closed: asyncio.Future[Any]) -> str:
    """Why a channel or connection was closed."""
    if closed.cancelled():
        return "the link was silent for too long"
    error = closed.exception()
    if error is None or isinstance(error, asyncio.CancelledError):
        return "it was ended"
    return explain(error)
