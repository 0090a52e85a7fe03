"""Signals as the parent takes them: the handlers do nothing but wake the one wait.

TERM and INT climb the ladder of a stop, QUIT goes to its end at once, HUP asks for a reload, USR1 for a dump, USR2 for
room for another version. CONT says that this process had been stopped, CHLD that a child of it has ended, which may be
an orphan that fell to it.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
WISHES = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
"""Signals by which somebody wants something of a node that runs."""
HELD_SIGNALS = (*STOP_SIGNALS, *WISHES)
"""Signals that would end a process which does not know them yet."""
HEARD_SIGNALS = (*HELD_SIGNALS, signal.SIGCONT, signal.SIGCHLD)

_BUFFER_BYTES = 1 << 16


def overlook() -> None:
    """Let signals that mean a node which runs do nothing while it starts, as they would end it.

    Nothing is lost: settings are read by then or will be, and an edit of just now is found by the parent.
    """
    for number in WISHES:  # not ignored: once they are held they are to wait
        signal.signal(number, _ignore)


def hold() -> None:
    """Let signals for the parent wait from now on, beyond an `exec` too, until `Signals.install` takes them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)


def reset() -> None:
    """Let signals be as at any start, before an `exec` that makes a node of this process.

    But for wishes: whoever has found the node running may send one just now, and it would be the node's end. A start
    does what they ask for anyway; it reads the settings and chooses the version.
    """
    for number in HEARD_SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in WISHES else signal.SIG_DFL)


class Signals:
    """The wake-up pipe: the interpreter writes the number of each signal into it the moment it comes.

    A pipe, since it holds 65,536 numbers; a socket is full after some 280, and what comes then is lost.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = os.pipe()
        os.set_blocking(self._receiver, False)
        os.set_blocking(self._sender, False)

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._receiver

    def install(self) -> None:
        """Take the signals from now on. Only the main thread may call this."""
        signal.set_wakeup_fd(self._sender, warn_on_full_buffer=False)
        for number in HEARD_SIGNALS:
            # CHLD among them: a parent of ours may have ignored it, and the kernel then throws exit codes away.
            signal.signal(number, _ignore)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD_SIGNALS)  # see `hold`

    def take(self) -> list[int]:
        """The signals that have come since the last call, in their order."""
        try:
            return [number for number in os.read(self._receiver, _BUFFER_BYTES) if number in HEARD_SIGNALS]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """The process is about to end: a signal would have nothing left to do."""
        for number in HELD_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.set_wakeup_fd(-1)
        os.close(self._receiver)
        os.close(self._sender)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """What is to be done is done where the wait sees the number."""
