"""Pulls the messages of a JetStream consumer, one at a time.

A request for a message may be lost (nats.py#504), and one that nobody waits for any more may still be answered
(nats.py#933): there is one request at most, it is asked again when its time is over, and what comes late is kept for
the next call.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from job_item.errors import NodeError, Unavailable
from worker.brokers.nats.client import Msg
from worker.brokers.queues import Loan

if TYPE_CHECKING:
    from worker.brokers.nats.life import NatsLife

PATIENCE_S = 5.0
"""How long after its end a request for a message may still be answered; then the connection is of no use."""
SHARE = 0.8

MakeLoan = Callable[[str, Msg, float, float], Loan]


def next_subject(stream: str) -> str:
    """Where the messages of the consumer of a stream are asked for."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{stream}.job_item"


class NatsQueue:
    """See `Queue`. `wait_s` is the consumer's `ack_wait`."""

    def __init__(self, life: NatsLife, subject: str, asked_at: str, wait_s: float, make: MakeLoan) -> None:
        self._life = life
        self._subject = subject
        self._asked_at = asked_at
        self._wait_s = wait_s
        self._make = make
        self._came: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._asked_s: float | None = None
        """When the request that is under way was sent."""
        self._number: int | None = None
        """The subscription to what the requests are answered with."""
        self._inbox = life.new_inbox()

    async def open(self) -> None:
        """Subscribe to what the requests are answered with."""
        self._number = self._life.listen(self._inbox, "", self._take)

    def _take(self, message: Msg) -> None:
        self._came.append(message)
        self._news.set()

    async def next(self) -> Loan:
        """See `Queue`."""
        loop = asyncio.get_running_loop()
        expires_s = self._wait_s / 3.0
        while True:
            self._life.check()
            if self._asked_s is None:
                self._asked_s = loop.time()
                wanted = json.dumps({"batch": 1, "expires": int(expires_s * 1e9)}).encode()
                # Whoever calls this off does not call the request off: what it brings is for the next call.
                await asyncio.shield(self._life.send(self._asked_at, wanted, self._inbox))
            await self._await(self._asked_s + expires_s + PATIENCE_S)
            message = self._came.popleft()
            asked_s, self._asked_s = self._asked_s, None
            status = (message.headers or {}).get("Status")
            if status is None:
                until_s = asked_s + self._wait_s * SHARE
                if until_s > loop.time():
                    return self._make(self._subject, message, until_s, self._wait_s)
            elif status == "503":
                raise NodeError("ERR-DLV-005", f"{self._subject}: its consumer is gone")
            elif status not in ("404", "408"):
                raise NodeError("ERR-DLV-005", f"{self._subject}: {(message.headers or {}).get('Description', status)}")

    async def _await(self, until_s: float) -> None:
        """Return when the request that is under way is answered. Raises Unavailable when the connection is lost."""
        if self._came:
            return
        self._news.clear()
        news: asyncio.Future[Any] = asyncio.ensure_future(self._news.wait())
        try:
            left_s = max(until_s - asyncio.get_running_loop().time(), 0.0)
            await asyncio.wait({news, self._life.lost}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if self._came:
            return
        self._life.check()
        self._life.end("the server does not answer a request for jobs")
        raise Unavailable("ERR-BRK-002", self._life.lost.result())

    def widen(self, resting: int) -> None:
        """See `Queue`: nothing is sent that was not asked for."""

    async def close(self) -> None:
        """See `Queue`."""
        if self._number is None or self._life.lost.done():
            return
        number, self._number = self._number, None
        with suppress(NodeError):
            await self._life.unlisten(number)
        queues = self._life.queues
        while self._came:
            message = self._came.popleft()
            if (message.headers or {}).get("Status") is None and self._asked_s is not None and queues is not None:
                until_s = self._asked_s + self._wait_s * SHARE
                with suppress(NodeError):
                    loan = self._make(self._subject, message, until_s, self._wait_s)
                    await queues.give_back(loan, loan.runs)
