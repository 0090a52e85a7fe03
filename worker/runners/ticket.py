"""One attempt on its way to a hand, in it, and back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from job_item.errors import JobFailure, Unavailable
from job_item.handlers.wish import Result, Wish
from job_item.job import Usage
from job_item.keeper.command import End, Ended
from job_item.log import get
from job_item.prompt import Prompt
from worker.outcome import Outcome
from worker.runners.command import outcome_of
from worker.runners.kind import Kind
from worker.seams import Assignment

if TYPE_CHECKING:
    from worker.runners.hand import Hand

Stop = Callable[["Ticket", str, float], None]


class Ticket:
    """An attempt that was given to the hands; it is a `Performance`.

    `result` is what became of it, once that is known: an outcome, or Unavailable when it was not begun.
    """

    __slots__ = (
        "_future",
        "_stop",
        "alarm",
        "assignment",
        "hand",
        "kind",
        "on_end",
        "on_output",
        "on_sent",
        "result",
        "stop_how",
        "wish",
    )

    def __init__(
        self, assignment: Assignment, wish: Wish, kind: Kind, on_output: Callable[[], None], stop: Stop
    ) -> None:
        self.assignment = assignment
        self.wish = wish
        self.kind = kind
        self.on_output = on_output
        self.on_end: Callable[[], object] | None = None
        self.on_sent: Callable[[Ticket], object] | None = None
        self.stop_how: str | None = None
        self.hand: Hand | None = None
        self.alarm: asyncio.TimerHandle | None = None
        self.result: Outcome | Unavailable | JobFailure | None = None
        self._future: Prompt[None] | None = None
        self._stop = stop

    async def outcome(self) -> Outcome:
        """What became of it. Raises Unavailable when it was never begun and can be tried again right away."""
        if self.result is None:
            self._future = Prompt(asyncio.get_running_loop())
            await self._future
        result = self.result
        assert result is not None  # noqa: S101 - the future says so
        if not isinstance(result, Outcome):
            raise result
        return result

    def stop(self, how: str, grace_s: float) -> None:
        """End it."""
        if self.result is None:
            self._stop(self, how, grace_s)

    def settle(self, result: Outcome | Unavailable | JobFailure) -> None:
        """Say what became of it; the first word counts."""
        if self.result is not None:
            return
        self.result = result
        if self.alarm is not None:
            self.alarm.cancel()
        if self.on_end is not None:
            self.on_end()
        if self._future is not None:
            self._future.set_result(None)

    def leave_unbegun(self) -> None:
        """Its hand has not begun it, and will not."""
        self.settle(Unavailable("ERR-RUN-006", "The process that was to run it is gone."))

    def return_with(self, result: Result) -> None:
        """Its hand has sent a result."""
        self.settle(_outcome(result))

    def die_with(self, ended: Ended, cpu_s: float) -> None:
        """Its hand has ended while it ran; `cpu_s` is what earlier jobs had used of its processor time."""
        if ended.refused_bytes:
            get("worker").warning(
                "output.refused", code="ERR-RUN-017", task_id=self.wish.task_id, lost_bytes=ended.refused_bytes
            )
        try:
            self.settle(_death(self, ended, cpu_s))
        except (Unavailable, JobFailure) as error:
            self.settle(error)


def _outcome(result: Result) -> Outcome:
    written = result.written or (0, 0, 0)
    usage = Usage(result.cpu_s, result.max_rss_bytes, written[0], written[1], written[2])
    if result.code is None:
        return Outcome("exit", 0, usage=usage, output=result.output, run_s=result.run_s)
    return Outcome("failed" if result.is_final else "raised", usage=usage, error_code=result.code, error=result.error)


def _death(ticket: Ticket, ended: Ended, cpu_s: float) -> Outcome:
    """Raises Unavailable when it has not begun, but may soon."""
    usage = ended.usage
    usage = Usage(
        round(max(0.0, usage.cpu_s - cpu_s), 6),
        usage.max_rss_bytes,
        usage.stdout_bytes,
        usage.stderr_bytes,
        usage.dropped_bytes,
        usage.processes,
    )
    if ended.end == "failed":
        return outcome_of(ended, ticket.assignment)
    if ticket.stop_how is not None and ended.end != "lost":
        return Outcome(cast("End", ticket.stop_how), ended.exit_code, ended.signal, usage)
    if ended.end != "exit":
        return Outcome(ended.end, ended.exit_code, ended.signal, usage)
    if ended.signal is not None:
        how = f"was ended by signal {ended.signal} ({_name_of(ended.signal)})"
    else:
        how = f"ended with exit code {ended.exit_code} before the handler returned"
    error = f"The process of the handler {how}."
    return Outcome("raised", ended.exit_code, ended.signal, usage, "ERR-HND-014", error)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
