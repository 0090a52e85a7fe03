"""What is asked on a NATS connection and answered to subjects of its own: one subscription takes all answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from job_item.errors import NodeError
from worker.brokers.nats.client import Msg

Answer = asyncio.Future[Msg]


class Answers:
    """Tells the answers apart by a number behind `inbox`, a subject that no other connection has."""

    def __init__(self, inbox: str) -> None:
        self.subject = f"{inbox}.*"
        """What is to be subscribed."""
        self._inbox = inbox
        self._numbers = count(1)
        self._awaited: dict[str, Answer] = {}
        self._asked_at: dict[Answer, str] = {}
        """Where each request that is under way was sent, in small letters, as the library has a refusal."""
        self._loop = asyncio.get_running_loop()

    @contextmanager
    def awaited(self, asked_at: str | None = None) -> Iterator[tuple[str, Answer]]:
        """A subject to be answered at, and what comes in on it, for as long as the context lasts.

        With `asked_at`, where the question is sent, the answer is an error when that is refused.
        """
        reply = f"{self._inbox}.{next(self._numbers)}"
        answer = self._awaited[reply] = self._loop.create_future()
        if asked_at is not None:
            self._asked_at[answer] = asked_at.lower()
        try:
            yield reply, answer
        finally:
            self._awaited.pop(reply, None)
            self._asked_at.pop(answer, None)

    def take(self, message: Msg) -> None:
        """An answer has come in."""
        answer = self._awaited.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)

    def refuse(self, subject: str, refusal: NodeError) -> None:
        """The server takes nothing at `subject`, which is in small letters."""
        for answer, asked_at in self._asked_at.items():
            if asked_at == subject and not answer.done():
                answer.set_exception(refusal)


def is_nobody(answer: Msg) -> bool:
    """Whether the server says that nobody has subscribed to what was asked."""
    return (answer.headers or {}).get("Status") == "503"
