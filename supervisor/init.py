"""Being process 1 of a container: orphans of all sorts fall to it, and the kernel protects it from most signals.

A process that was brought in from outside (`docker exec`) leaves its orphans to process 1 too. A node that were process
1 itself could not tell them from what is left of its own jobs, which it has to kill. So process 1 parts in two: the
first does nothing but reap and pass signals on, the second is the node. When the second ends the first ends with its
exit code, and the kernel ends all that is left in the container.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGCONT,
)
_TERMINAL = 0


def split() -> int | None:
    """Part in two. Returns None in the node, which goes on; in the first process, at the end, the node's exit code.

    Call it before anything is open and while there is one thread.
    """
    awaited = {*PASSED_ON, signal.SIGCHLD, signal.SIGTTOU}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    # Where whoever started us ignores it, the kernel would reap in our place, and the exit code would be lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    node = os.fork()
    if node == 0:
        _take_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    return _mind(node)


def _take_terminal() -> None:
    """Have the terminal's Ctrl-C for the node alone: passed on as well, it would count twice."""
    os.setpgid(0, 0)
    with suppress(OSError):
        os.tcsetpgrp(_TERMINAL, os.getpid())


def _mind(node: int) -> int:
    """Pass signals on and reap whatever falls to us, until the node has ended; its exit code, 128+n for signal n."""
    while True:
        # The handlers' way could lose a signal, and process 1 gets none without a handler unless it is blocked.
        number = signal.sigwait({*PASSED_ON, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            os.kill(node, number)
            continue
        while (ended := _reap()) is not None:
            pid, status = ended
            if pid == node:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _reap() -> tuple[int, int] | None:
    """One child that has ended; None when there is none at the moment."""
    pid, status = os.waitpid(-1, os.WNOHANG)  # the node is there, so there is a child
    return (pid, status) if pid else None
