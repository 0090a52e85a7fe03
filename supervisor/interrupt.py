"""Signals to a command that still has something to do when it is asked to end."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

Result = TypeVar("Result")

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Notes the first INT, TERM or HUP; the second ends the process at once.

    `grace_s` seconds after the first, what `limit` does is cut short, and nothing else is: a failure that is just being
    told is told to its end. Signals that are ignored (nohup, a background command) stay so. To be made in the main
    thread.
    """

    def __init__(self, grace_s: float) -> None:
        self.number: int | None = None
        self._grace_s = grace_s
        self._is_limited = self._is_over = False
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Readable once a signal has come."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._watched = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._watched:
            signal.signal(number, self._note)
        signal.signal(signal.SIGALRM, self._give_up)

    def limit(self, act: Callable[[], Result]) -> Result:
        """Do something that must not outlast the grace. Raises Unavailable (ERR-REP-004) where it would."""
        self._is_limited = True
        try:
            if self._is_over:
                self._fail()
            return act()
        finally:
            self._is_limited = False

    def end(self) -> None:
        """Nothing is left to do that a signal could cut short."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        for watched in self._watched:
            signal.signal(watched, signal.SIG_DFL)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_limited:
            self._fail()  # no flag would do: the time is over while a server is silent within one call
        self._is_over = True

    def _fail(self) -> NoReturn:
        from job_item.errors import Unavailable

        raise Unavailable("ERR-REP-004", f"Not everything could be sent within {self._grace_s:g} s of the signal.")
