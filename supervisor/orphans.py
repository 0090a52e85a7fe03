"""Children that nobody here has started: orphans that fell to this process, or what a shell had before it became us."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from contextlib import suppress

from job_item.process import children_of


def reap_orphans(known: Container[int], list_children: Callable[[int], list[int]] = children_of) -> list[int]:
    """Take away those that have ended; none is signalled. Returns their pids.

    `known` are children that others wait for: whoever takes their exit code here loses it.
    """
    reaped = []
    for pid in list_children(os.getpid()):
        if pid not in known:
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    reaped.append(pid)
    return reaped
