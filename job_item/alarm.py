"""A deadline for others, on an asyncio loop, that does not count time in which this process itself was stopped.

A loop that was stopped (SIGSTOP, a frozen container) finds all its timers due at once when it goes on, before those
that it waits for had a chance to answer: they may have been stopped with it. So an alarm that is late is set once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LATE_S = 1.0
"""A timer that is later than this was not served in time: the loop did not run."""


class Alarm:
    """Calls `ring` after `delay_s` seconds in which the loop ran, once, unless it is cancelled before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._delay_s = delay_s
        self._ring = ring
        self._timer = loop.call_later(delay_s, self._end)

    def when(self) -> float:
        """The moment, by the loop's clock, at which it rings as things are."""
        return self._timer.when()

    def cancel(self) -> None:
        """Not to be called any more."""
        self._timer.cancel()

    def _end(self) -> None:
        if self._loop.time() - self._timer.when() > LATE_S:
            self._timer = self._loop.call_later(self._delay_s, self._end)
        else:
            self._ring()
