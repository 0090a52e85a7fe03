"""Notices that there has been no job for a while, by the monotonic clock (protocol reefguide.md, 14, rows 6 and 16)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from job_item.log import get

STRANDED_S = 3 * 3600.0
"""How long a node without jobs stays for what the API does not take or tell. By then the server has marked every job
TIMED_OUT (two hours, and a clean-up each hour: section 6), so that nobody waits for it; the journal keeps it."""


class Load(NamedTuple):
    """What a node has to do at a moment."""

    has_jobs: bool = False
    """It holds jobs, or has some that it can still run."""
    has_open_claims: bool = False
    """It has asked for jobs and does not know yet whether it got them."""
    has_results: bool = False
    """The API has not got all results."""


def decide(load: Load, quiet_s: float, timeout_s: float) -> float:
    """How long until this is to be decided again, if nothing is heard of before that; 0: the node is idle now.

    `quiet_s` is how long ago a job came, a job ended or a result was delivered. A claim is none of these: it does not
    prolong the time, it only has to be decided before the node goes.
    """
    if load.has_jobs:
        return timeout_s  # also if the last one ends at this moment
    if load.has_open_claims or load.has_results:
        return max(min(max(timeout_s, STRANDED_S) - quiet_s, timeout_s), 0.0)
    return max(timeout_s - quiet_s, 0.0)


class Idle:
    """Calls `on_idle` once, as soon as the node is idle. A `timeout_s` of 0 is no time-out at all."""

    def __init__(self, timeout_s: float, load: Callable[[], Load], on_idle: Callable[[], None]) -> None:
        self._timeout_s = timeout_s
        self._load = load
        self._on_idle = on_idle
        self._touched_s = time.monotonic()
        self._alarm: asyncio.TimerHandle | None = None
        self._counts = False

    def start(self) -> None:
        """Count from now on."""
        self.touch()
        self._counts = self._timeout_s > 0
        self.look()

    def touch(self) -> None:
        """There was something to do just now."""
        self._touched_s = time.monotonic()

    def look(self) -> None:
        """Decide: the time may be over, or what the node still waited for has come to its end."""
        if not self._counts:
            return
        load = self._load()
        left_s = decide(load, time.monotonic() - self._touched_s, self._timeout_s)
        self._cancel()
        if left_s > 0:
            self._alarm = asyncio.get_running_loop().call_later(left_s, self.look)
            return
        self._counts = False
        if load.has_open_claims or load.has_results:
            get("worker").error("results.stranded", code="ERR-RFG-016", quiet_s=STRANDED_S)
        self._on_idle()

    def stop(self) -> None:
        """Count no more."""
        self._counts = False
        self._cancel()

    def _cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
