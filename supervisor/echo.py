"""Bytes from standard input to standard output as they come, and to somebody who keeps them."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable

_SOURCE, _SINK = 0, 1
_READ_BYTES = 1 << 16
_WRITE_BYTES = 4096
"""What a pipe that is said to be writable takes without blocking (PIPE_BUF)."""


class Echo:
    """Shows what comes in until it ends or `stop`, a descriptor, becomes readable.

    A reader that went away stops the showing, not the taking; so does any other failure to write, which `failure` then
    holds. Where nobody takes (`take` is None), the end of the showing is the end of all.
    """

    def __init__(self, take: Callable[[bytes], None] | None, stop: int) -> None:
        self.failure: OSError | None = None
        self._take = take
        self._stop = stop
        self._is_shown = True

    def run(self) -> None:
        """Do it."""
        poller = self._poller(_SOURCE, select.POLLIN)
        while self._may_go_on(poller):
            try:
                chunk = os.read(_SOURCE, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:  # a directory, a terminal that went away
                self.failure = error
                return
            if not chunk:
                return
            if self._take is not None:
                self._take(chunk)
            if self._is_shown:
                self._show(chunk)
            if self._take is None and not self._is_shown:
                return

    def _show(self, chunk: bytes) -> None:
        poller = self._poller(_SINK, select.POLLOUT)
        left = memoryview(chunk)
        while left and self._may_go_on(poller):
            try:
                left = left[os.write(_SINK, left[:_WRITE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                self._is_shown = False
                self.failure = None if error.errno == errno.EPIPE else error
                return

    def _poller(self, descriptor: int, event: int) -> select.poll:
        poller = select.poll()
        poller.register(self._stop, select.POLLIN)
        poller.register(descriptor, event)
        return poller

    def _may_go_on(self, poller: select.poll) -> bool:
        """Wait for the descriptor; False once it is time to stop."""
        return all(descriptor != self._stop for descriptor, _ in poller.poll())
