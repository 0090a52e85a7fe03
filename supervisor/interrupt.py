"""Signals to a command that still has something to do when it is asked to end."""

from __future__ import annotations

import os
import signal
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupt:
    """Notes the first INT, TERM or HUP; the second ends the process at once.

    `grace_s` seconds after the first, `Unavailable` (ERR-REP-004) is raised wherever the main thread is then. Signals
    that are ignored (nohup, a background command) stay so. To be made in the main thread.
    """

    def __init__(self, grace_s: float) -> None:
        self.number: int | None = None
        self._grace_s = grace_s
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """Readable once a signal has come."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        self._watched = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._watched:
            signal.signal(number, self._note)
        signal.signal(signal.SIGALRM, self._give_up)

    def end(self) -> None:
        """Nothing is left to do that a signal could cut short."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number
        signal.setitimer(signal.ITIMER_REAL, self._grace_s)
        for watched in self._watched:
            signal.signal(watched, signal.SIG_DFL)

    def _give_up(self, _number: int, _frame: FrameType | None) -> None:
        from job_item.errors import Unavailable

        # No flag would do: the time is over while a server is silent within one call.
        raise Unavailable("ERR-REP-004", f"Not everything could be sent within {self._grace_s:g} s of the signal.")
