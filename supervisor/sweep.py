"""The sweep after a child's death: whatever of its tree fell to us, the subreaper, is seen to its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from contextlib import suppress

from job_item.process import children_of, pidfd

PATIENCE_S = 1.0
"""How long a stray may take to end by itself: a zygote kills its own tree at the end of its leash."""
LIMIT_S = 10.0
"""How long the successor waits for strays that SIGKILL does not end (another user's, or in the kernel)."""


class Sweep:
    """Strays of dead children: direct children of this process that nobody here started.

    Without pidfds we are no subreaper either, nothing falls to us, and a sweep is over at once.
    """

    def __init__(self, list_children: Callable[[int], list[int]] = children_of) -> None:
        self._list_children = list_children
        self._strays: dict[int, int] = {}
        self._began_s: float | None = None
        self.killed: set[int] = set()

    @property
    def is_active(self) -> bool:
        """Whether the tree of some dead child may still live."""
        return self._began_s is not None

    @property
    def graves(self) -> tuple[int, ...]:
        """Descriptors that are readable once a stray is dead."""
        return tuple(self._strays.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """The strays that live."""
        return tuple(self._strays)

    @property
    def deadline_s(self) -> float | None:
        """When `collect` must come at the latest."""
        if self._began_s is None:
            return None
        return self._began_s + (LIMIT_S if self._strays.keys() <= self.killed else PATIENCE_S)

    def begin(self, now_s: float) -> None:
        """A child has died: its strays have fallen to us by the time that its death could be seen.

        A sweep that goes on already keeps its time, so that no series of deaths puts off its end.
        """
        if self._began_s is None:
            self._began_s = now_s

    def collect(self, known: Collection[int], now_s: float) -> tuple[int, ...] | None:
        """Reap dead strays, take in new ones, kill those that had their time; `known` are children that are none.

        Returns None while some live; then, once, the pids that would not die.
        """
        if self._began_s is None:
            return None
        self._reap()
        found = set(self._list_children(os.getpid())) - set(known)
        for pid in found - self._strays.keys():
            self._take_in(pid)
        if now_s >= self._began_s + PATIENCE_S:
            self._kill()
        if self._strays and now_s < self._began_s + LIMIT_S:
            return None
        left = tuple(self._strays)
        self._finish()
        return left

    def _take_in(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            descriptor = pidfd(pid)
            if descriptor is not None:
                self._strays[pid] = descriptor

    def _reap(self) -> None:
        for pid, descriptor in list(self._strays.items()):
            with suppress(ChildProcessError):
                if os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG) is None:
                    continue
            os.close(descriptor)
            del self._strays[pid]
            self.killed.discard(pid)

    def _kill(self) -> None:
        for pid, descriptor in self._strays.items():
            if pid not in self.killed:
                self.killed.add(pid)
                with suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _finish(self) -> None:
        for descriptor in self._strays.values():
            os.close(descriptor)
        self._strays.clear()
        self.killed.clear()
        self._began_s = None
