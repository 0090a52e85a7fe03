"""Pulls the messages of a JetStream consumer, as many at a time as there are free slots.

A request for a message may be lost (nats.py#504), and one that nobody waits for any more may still be answered
(nats.py#933): there is one request at most, it is asked again when all it asked for has come or its time is over, and
what comes late is kept for the next call. A queue that was found empty is asked for one job at a time, so that what a
request brings long after it was sent finds its slot free.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
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
        self._awaited = 0
        """How many messages it may still bring."""
        self._is_idle = False
        """Whether the last request has brought nothing."""
        self._number: int | None = None
        """The subscription to what the requests are answered with."""
        self._inbox = life.new_inbox()

    async def open(self) -> None:
        """Subscribe to what the requests are answered with."""
        self._number = self._life.listen(self._inbox, "", self._take)

    def _take(self, message: Msg) -> None:
        self._came.append(message)
        self._news.set()

    async def borrow(self, limit: int) -> Sequence[Loan]:
        """See `Queue`."""
        loop = asyncio.get_running_loop()
        loans: list[Loan] = []
        while not loans:
            self._life.check()
            if not self._came:
                await self._ask(limit)
            while self._came and len(loans) < limit:
                loan = self._read(self._came.popleft())
                if loan is not None and loan.until_s > loop.time():
                    loans.append(loan)
        return loans

    async def _ask(self, limit: int) -> None:
        """Return when the request that is under way, or a new one, was answered with something."""
        expires_s = self._wait_s / 3.0
        if self._asked_s is None:
            self._asked_s, self._awaited = asyncio.get_running_loop().time(), 1 if self._is_idle else limit
            self._is_idle = True
            wanted = json.dumps({"batch": self._awaited, "expires": int(expires_s * 1e9)}).encode()
            # Whoever calls this off does not call the request off: what it brings is for the next call.
            await asyncio.shield(self._life.send(self._asked_at, wanted, self._inbox))
        await self._await(self._asked_s + expires_s + PATIENCE_S)

    def _read(self, message: Msg) -> Loan | None:
        """What an answer lends; None where it is the end of a request. Raises NodeError."""
        status = (message.headers or {}).get("Status")
        asked_s = self._asked_s
        if status is None:
            self._awaited -= 1
            self._is_idle = False
            if self._awaited <= 0:
                self._asked_s = None
            # What comes after the end of its request is older than that says: it is left to whoever gets it next.
            return self._lend(message, asked_s) if asked_s is not None else None
        self._asked_s = None
        if status == "503":
            raise NodeError("ERR-DLV-005", f"{self._subject}: its consumer is gone")
        if status not in ("404", "408"):
            raise NodeError("ERR-DLV-005", f"{self._subject}: {(message.headers or {}).get('Description', status)}")
        return None

    def _lend(self, message: Msg, asked_s: float) -> Loan:
        return self._make(self._subject, message, asked_s + self._wait_s * SHARE, self._wait_s)

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
        while self._came and queues is not None:
            with suppress(NodeError):
                loan = self._read(self._came.popleft())
                if loan is not None:
                    await queues.give_back(loan, loan.runs)
