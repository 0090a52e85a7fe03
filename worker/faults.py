"""Fault points: places where a test has the process killed, to prove that nothing is lost there.

`JOB_ITEM_FAULT="claim.commit:3"` sends SIGKILL to the process when it passes the point `claim.commit` for the third
time. A point is a kind of journal write and a moment of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping

from job_item.errors import NodeError

VARIABLE = "JOB_ITEM_FAULT"

WRITES = (
    "accept",
    "claim",
    "settle",
    "requeue",
    "recover",
    "cancel",
    "note",
    "share",
    "unshare",
    "prune",
    "say",
    "said",
    "borrow",
    "prolong",
    "own",
    "leave",
    "give_up",
    "revive",
    "drop",
)
"""What is written to the journal."""

GRANT_WRITES = ("ask", "take", "drop")
"""What is written of the jobs that an HTTP job queue grants."""

CALLS = ("login", "poll", "assign", "confirm", "result")
"""The calls to that queue."""

CALL_MOMENTS = ("asked", "answered")
"""Before the request is sent, and when its answer has come."""

MOMENTS = ("begin", "commit", "committed", "resolve")
"""Before the transaction begins, before it is committed, after that, and before the caller hears of it."""


class FaultPoints:
    """The fault points of a node at work: nothing happens at them."""

    all_names = tuple(f"{write}.{moment}" for write in WRITES for moment in MOMENTS)

    reef_names = (
        *(f"{write}.{moment}" for write in GRANT_WRITES for moment in MOMENTS),
        *(f"{call}.{moment}" for call in CALLS for moment in CALL_MOMENTS),
    )
    """The further points of a node that polls an HTTP job queue."""

    @staticmethod
    def from_environ(environ: Mapping[str, str]) -> FaultPoints:
        """Read `JOB_ITEM_FAULT`. Raises `NodeError` when it names no fault point."""
        wish = environ.get(VARIABLE)
        if not wish:
            return FaultPoints()
        name, _, count = wish.partition(":")
        if name not in (*FaultPoints.all_names, *FaultPoints.reef_names) or not (count.isdecimal() or not count):
            raise NodeError("ERR-STO-006", f"{VARIABLE}={wish} names no fault point.")
        return KillAt(name, int(count or "1"))

    def passing(self, moment: str, writes: Iterable[str]) -> None:
        """Called when the process is at this moment of these writes."""


class KillAt(FaultPoints):
    """Kills the process when it passes the point `name` for the `count`-th time."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._left = count

    def passing(self, moment: str, writes: Iterable[str]) -> None:
        """Go on, or die."""
        for write in writes:
            if f"{write}.{moment}" == self._name:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
