"""The zygotes of one process: what one of them leaves behind is killed, and the others are spared."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from job_item.keeper import tree
from job_item.process import children_of


class Siblings:
    """Knows the zygotes of this process, whoever of its pools they belong to. Used by several threads."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._lock = threading.Lock()

    def start(self, spawn: Callable[[], int]) -> int:
        """Start a zygote: nobody who sweeps meanwhile takes it for something left behind. Raises as `spawn`."""
        with self._lock:
            pid = spawn()
            self._pids.add(pid)
        return pid

    def forget(self, pid: int) -> None:
        """A zygote has ended."""
        with self._lock:
            self._pids.discard(pid)

    def sweep(self, limit_s: float) -> None:
        """Kill and reap all children of this process that are none of its zygotes, for so long at most."""
        deadline = time.monotonic() + limit_s
        while self._kill() and time.monotonic() < deadline:
            time.sleep(tree.PAUSE_S)
            for pid in children_of(os.getpid()):
                with self._lock:
                    if pid not in self._pids:
                        tree.reap_one(pid)

    def _kill(self) -> int:
        with self._lock:
            return tree.kill_children(self._pids)
