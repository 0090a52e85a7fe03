"""TERM, INT and HUP as the parent takes them: the handlers do nothing but wake the one wait."""

from __future__ import annotations

import signal
import socket
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
SIGNALS = (*STOP_SIGNALS, signal.SIGHUP)
"""All that the parent takes: to stop, and to read its settings again."""


def hold() -> None:
    """Let signals wait from now on, beyond an `exec` too, until `Signals.install` takes them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class Signals:
    """The wake-up socket pair: the interpreter writes the number of each signal into it the moment it comes."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._receiver.fileno()

    def install(self) -> None:
        """Take the signals from now on. Only the main thread may call this."""
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _ignore)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        # A parent of ours may have ignored it, and then the kernel throws the exit codes of children away.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # see `hold`

    def take(self) -> list[int]:
        """The signals that have come since the last call, in their order."""
        try:
            return [number for number in self._receiver.recv(4096) if number in SIGNALS]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """The process is about to end: a signal would have nothing left to do."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        self._receiver.close()
        self._sender.close()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """What is to be done is done where the wait sees the number."""
