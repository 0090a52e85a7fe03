"""A future that resumes who waits for it at once, in the call that gives the result.

asyncio puts a turn of the loop between a result and the task that waits for it. For a job that does next to nothing
those turns are a good part of what it costs. A result that comes in a plain callback of the loop (a message was read, a
group was committed) needs no such turn: no task runs at that moment, so the waiting one may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

Result = TypeVar("Result")


class Prompt(asyncio.Future[Result]):
    """Like `asyncio.Future`, but prompt where that is possible: within a task the loop takes its turn as usual."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._waiters: list[tuple[Callable[[Any], object], Context | None]] = []

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        """Have `fn` called with this future once it is done."""
        if self.done():
            super().add_done_callback(fn, context=context)
        else:
            self._waiters.append((fn, context))

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        """Have `fn` not called; returns how often it would have been."""
        kept = [(waiter, context) for waiter, context in self._waiters if waiter != fn]
        removed = len(self._waiters) - len(kept)
        self._waiters = kept
        return removed + super().remove_done_callback(fn)

    def set_result(self, result: Result, /) -> None:
        """Give the result and resume who waits."""
        super().set_result(result)
        self._tell()

    def set_exception(self, exception: type[BaseException] | BaseException, /) -> None:
        """Give an exception in place of a result and resume who waits."""
        super().set_exception(exception)
        self._tell()

    def cancel(self, msg: Any | None = None) -> bool:
        """Give the wait up; who waits hears of it in the loop's next turn, for it may be the one that cancels."""
        if not super().cancel(msg):
            return False
        self._tell_later()
        return True

    def _tell(self) -> None:
        if asyncio.current_task(self.get_loop()) is not None:
            self._tell_later()
            return
        waiters, self._waiters = self._waiters, []
        for fn, context in waiters:
            if context is None:
                fn(self)
            else:
                context.run(fn, self)

    def _tell_later(self) -> None:
        waiters, self._waiters = self._waiters, []
        for fn, context in waiters:
            self.get_loop().call_soon(fn, self, context=context)
