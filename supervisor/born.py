"""A process of the node as its parent holds it: birth, connection, confirmed death, kill."""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import suppress
from importlib import import_module
from typing import Any

from job_item.process import pidfd, signal_when_orphaned
from supervisor.forkserver import DEAF_TO, Forkserver
from supervisor.multi import wait

_LINK_TIMEOUT_S = 1
"""How long the parent waits for a child that stopped in the middle of a message; it is hung and will be replaced."""
_STATUS_TIMEOUT_S = 10.0
"""How long the forkserver may take to hand over the exit code of a child that is dead already: it has nothing to do but
that, and a machine that stalls for a moment must not make a failure of a good end."""
_UNTOLD = 255
"""What multiprocess makes of an exit code that the forkserver took to its grave (a child may also exit so)."""
_DYING_TIMEOUT_S = 1.0
"""How long a forkserver that has closed its descriptors may take to be dead."""


def call(entry: str, *arguments: object) -> None:
    """Run `module:function`: the first act in a process of its own."""
    signal_when_orphaned(signal.SIGCONT)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, DEAF_TO)  # blocked at birth, see `Forkserver`
    module, _, name = entry.partition(":")
    getattr(import_module(module), name)(*arguments)


def bear(births: Forkserver, name: str, entry: str, *arguments: object) -> tuple[Any, Any]:
    """Start a process that runs `entry`, with its end of a connection after the first of `arguments`.

    Returns the process and our end. Raises OSError or EOFError when the process cannot be made.
    """
    ours, theirs = births.pipe()
    try:
        _bound_waits(ours)
        return births.make(name, call, (entry, arguments[0], theirs, *arguments[1:])), ours
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()


def _bound_waits(connection: Any) -> None:
    """A child that is stopped half-way through a message, or reads nothing, must not stop its parent too."""
    with socket.socket(fileno=os.dup(connection.fileno())) as twin:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            twin.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", _LINK_TIMEOUT_S, 0))


class Born:
    """A process that the forkserver has made. Its pidfd is the truth of its death.

    The sentinel of multiprocess, the way where there are no pidfds, also fires when only the forkserver died.
    """

    def __init__(self, process: Any, connection: Any, births: Forkserver) -> None:
        self.pid: int = process.pid
        self.connection = connection
        self.is_linked = True
        self._process = process
        self._births = births
        try:
            self._pidfd = pidfd(self.pid)
        except ProcessLookupError:
            self._pidfd = None  # dead and reaped by now: the sentinel says so

    @property
    def grave(self) -> int:
        """The descriptor that is readable once the child is dead."""
        sentinel: int = self._process.sentinel
        return sentinel if self._pidfd is None else self._pidfd

    def has_message(self) -> bool:
        """Whether there is something to read on the connection, its end included."""
        return self.is_linked and bool(wait([self.connection.fileno()], 0))

    def unlink(self) -> None:
        """Let go of the connection: the other end is closed."""
        if self.is_linked:
            self.is_linked = False
            self.connection.close()

    def kill(self) -> None:
        """Send SIGKILL."""
        with suppress(ProcessLookupError):
            if self._pidfd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def bury(self) -> int | None:
        """Reap the dead child and let go of all that was held for it; its exit code (-n: signal n), None if unknown."""
        code = self._reap()
        self.unlink()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        return code

    def _reap(self) -> int | None:
        code = self._own_status()
        if code is not None:
            return code
        self._process.join(_STATUS_TIMEOUT_S)
        told: int | None = self._process.exitcode
        if told == _UNTOLD and self._births.is_dead(_DYING_TIMEOUT_S):
            # The forkserver died between the child's death and the telling of it; the child has fallen to us.
            return self._own_status()
        return told

    def _own_status(self) -> int | None:
        """The exit code of a child that is ours: by birth (spawn), or by the death of its forkserver; else None."""
        if self._pidfd is None:
            return None
        try:
            end = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
