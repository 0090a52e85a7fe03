"""Ending everything below this process, which has to be a subreaper so that nothing of it gets away."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Container
from contextlib import suppress

from job_item.process import children_of, pidfd

BOUND_S = 10.0
"""How long processes may take to die; one that hangs in the kernel is left behind."""


def clear_away(spared: Container[int] = ()) -> bool:
    """Kill and reap all children of this process but `spared`, those too that fall to it as others die.

    Returns whether none is left. Without /proc (the portable path) there is nothing that could be found.
    """
    end_s = time.monotonic() + BOUND_S
    while pids := [pid for pid in children_of(os.getpid()) if pid not in spared]:
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            if not _reap(pid, end_s):
                return False
    return True


def _reap(pid: int, end_s: float) -> bool:
    with suppress(ChildProcessError, ProcessLookupError):
        grave = pidfd(pid)
        if grave is None:
            os.waitpid(pid, 0)
            return True
        try:
            if not select.select([grave], [], [], max(0.0, end_s - time.monotonic()))[0]:
                return False
        finally:
            os.close(grave)
        os.waitpid(pid, 0)
    return True
