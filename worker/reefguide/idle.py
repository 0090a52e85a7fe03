"""Notices that there has been no job for a while, by the monotonic clock (protocol reefguide.md, 14, row 16)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Idle:
    """Calls `on_idle` once, when nothing was `touch`ed for `timeout_s` seconds and the node is not busy.

    A `timeout_s` of 0 is no time-out at all.
    """

    def __init__(self, timeout_s: float, is_busy: Callable[[], bool], on_idle: Callable[[], None]) -> None:
        self._timeout_s = timeout_s
        self._is_busy = is_busy
        self._on_idle = on_idle
        self._touched_s = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Count from now on."""
        self.touch()
        if self._timeout_s:
            self._task = asyncio.get_running_loop().create_task(self._work())

    def touch(self) -> None:
        """There was something to do just now."""
        self._touched_s = time.monotonic()

    def stop(self) -> None:
        """Count no more."""
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        while (left_s := self._touched_s + self._timeout_s - time.monotonic()) > 0 or self._is_busy():
            if left_s <= 0:
                self.touch()  # by its end a job touches it again
                continue
            await asyncio.sleep(left_s)
        self._on_idle()
