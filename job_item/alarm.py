"""A deadline for others, on an asyncio loop, that does not count time in which this process itself was stopped.

A loop that was stopped (SIGSTOP, a frozen container) finds all its timers due at once when it goes on, before those
that it waits for had a chance to answer: they may have been stopped with it. So an alarm ends with a last call: a
stretch that counts only if the loop ran through it. What was late in that stretch begins it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LAST_CALL_S = 2.0
"""How long the last call takes, for delays that are long enough; of shorter ones it is the second half."""
_SHARE = 2
"""A last call that comes back later than its length divided by this was not run through."""


class Alarm:
    """Calls `ring` after `delay_s` seconds, once, unless it is cancelled before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._last_call_s = min(LAST_CALL_S, delay_s / 2)
        self._ring = ring
        self._is_last_call = False
        self._timer = loop.call_later(delay_s - self._last_call_s, self._call)

    def when(self) -> float:
        """The moment, by the loop's clock, at which it rings as things are."""
        return self._timer.when() + (0.0 if self._is_last_call else self._last_call_s)

    def cancel(self) -> None:
        """Not to be called any more."""
        self._timer.cancel()

    def _call(self) -> None:
        self._is_last_call = True
        self._timer = self._loop.call_later(self._last_call_s, self._end)

    def _end(self) -> None:
        if self._loop.time() - self._timer.when() > self._last_call_s / _SHARE:
            self._call()
        else:
            self._ring()
