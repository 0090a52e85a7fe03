"""One life of a connection, as all adapters know it: whether it is of use, and why not any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from job_item import log
from job_item.errors import BadMessage, NodeError, Unavailable
from job_item.redact import Redactor
from worker.brokers.awaited import Awaited
from worker.brokers.queues import Queues

Found = TypeVar("Found")

PROBE_SUBJECT = "job_item.probe."
"""How the private subjects begin on which connections prove that they are not deaf; what follows is random."""

LAST_CALL_S = 0.5
"""The end of the time that a probe has, of shorter ones the half: it begins when the rest has passed, however late that
is seen. Where this process stood still the answer may have come and not been read."""


class Life:
    """Ends once, with a reason.

    Parameters: `place`, who is at the other end, in words; `secrets`, what no reason may show.
    """

    def __init__(self, place: str, secrets: Iterable[str]) -> None:
        self.place = place
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.queues: Queues | None = None
        self.is_deaf = False
        """A probe did not come back: nothing is worth waiting for on this connection."""
        self._loop = asyncio.get_running_loop()
        self._awaited = Awaited(self._end_silent)
        self._redactor = Redactor(secrets)
        self._tasks: set[asyncio.Task[Any]] = set()

    def end(self, reason: str) -> None:
        """The connection is of no use any more; the first reason counts."""
        if self.lost.done():
            return
        self.lost.set_result(self.clean(f"{self.place}: {reason}"))
        self._awaited.fail(Unavailable("ERR-BRK-002", self.lost.result()))

    def clean(self, text: str) -> str:
        """`text` without credentials."""
        return self._redactor.text(text)

    def check(self) -> None:
        """Raises Unavailable (ERR-BRK-002) when the connection is lost."""
        if self.lost.done():
            raise Unavailable("ERR-BRK-002", self.lost.result())

    async def await_probe(
        self, came: asyncio.Future[Any], limit_s: float, may_be_late: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait for a probe to come back. Raises Unavailable: ERR-BRK-004 when it does not, ERR-BRK-002 when lost.

        `may_be_late` is asked every `limit_s` seconds whether to wait on.
        """
        begun_s, last_call_s = self._loop.time(), min(LAST_CALL_S, limit_s / 2)
        while not came.done():
            for wait_s in (limit_s - last_call_s, last_call_s):
                await asyncio.wait((came, self.lost), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            self.check()
            if not came.done() and not may_be_late():
                self.is_deaf = True
                waited_s = self._loop.time() - begun_s
                raise Unavailable("ERR-BRK-004", f"{self.place}: nothing came in within {waited_s:.1f} s")
        self.is_deaf = False

    async def answered(self, answer: asyncio.Future[Found], limit_s: float) -> Found:
        """Await a future that somebody resolves when the other end has answered; as `during`, without a task."""
        if not answer.done():
            self.check()
            self._awaited.add(answer, limit_s)
            try:
                return await answer
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or not task.cancelling():
                    self._end_called_off()
                raise
            finally:
                self._awaited.drop(answer)
        return answer.result()

    def _end_silent(self, limit_s: float) -> None:
        self.end(f"no answer within {limit_s:g} s")

    async def during(self, work: Coroutine[Any, Any, Found], limit_s: float) -> Found:
        """Await what the other end has to answer. Raises Unavailable when the connection is lost before.

        `work` is never cancelled while the connection lives, as client libraries lose step when an answer comes that
        nobody awaits any more. No answer within `limit_s` seconds is the end of this life.
        """
        task = self.begin(work)
        await asyncio.wait((task, self.lost), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            self._end_silent(limit_s)
            task.cancel()
            self.check()
        if task.cancelled():
            self._end_called_off()
        return task.result()

    def _end_called_off(self) -> None:
        """A client library has called off what it was asked for: that must not pass for the end of whoever asked."""
        self.end("a request was called off")
        self.check()

    def begin(self, work: Coroutine[Any, Any, Found]) -> asyncio.Task[Found]:
        """Do something for which nobody may wait."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """Its failure is told to whoever awaits it, and of no interest when nobody does."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    def fit(self, subject: str, body: bytes, limit_bytes: int) -> None:
        """Raises BadMessage (ERR-BRK-006) for what is no subject or too large."""
        if not is_subject(subject):
            raise BadMessage("ERR-BRK-006", f"{subject[:80]!r} cannot be a subject")
        if len(body) > limit_bytes:
            raise BadMessage(
                "ERR-BRK-006",
                f"a message of {len(body)} bytes is too large for {self.place}, which takes {limit_bytes}",
            )

    def fit_subscription(self, subject: str) -> None:
        """Raises NodeError (ERR-BRK-003) for what is no subject."""
        if not is_subject(subject):
            raise NodeError("ERR-BRK-003", f"{subject[:80]!r} cannot be a subject")

    def say_lost_message(self, subject: str, reason: str) -> None:
        """Tell the log that a message is gone for good; its body is nobody's business."""
        log.get("worker").warning(
            "broker.message_lost", code="ERR-BRK-008", subject=subject, broker=self.place, reason=self.clean(reason)
        )


def is_subject(text: str) -> bool:
    """Whether a text can be a subject of every broker: 1 to 255 bytes (AMQP), no blanks and controls (NATS)."""
    return 0 < len(text.encode(errors="replace")) <= 255 and text.isprintable() and " " not in text
