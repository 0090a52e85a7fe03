"""When the status of a task may be said: not before `finish_settle` has passed since `_who` was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from worker.journal import Saying


class Moments:
    """Knows of each task whose `_who` had to wait for the broker when that was said.

    A journal that is read says when a status is due by when its job began; then the broker may have been away.
    Parameter `settle_s`: what is in force of `finish_settle`, the longest time that a status waits for its moment.
    """

    def __init__(self, settle_s: Callable[[], float]) -> None:
        self._settle_s = settle_s
        self._who_s: dict[str, float] = {}
        self._loop = asyncio.get_running_loop()

    def said(self, saying: Saying) -> None:
        """Something was said, or is not to be said any more."""
        if saying.kind == "who":
            self._who_s[saying.task_id] = self._loop.time()
        elif saying.kind == "finish":
            self._who_s.pop(saying.task_id, None)

    def left_s(self, saying: Saying) -> float:
        """How long something waits for its moment.

        By the wall clock, which may have been set meanwhile: no wait is longer than any can be.
        """
        settle_s = self._settle_s()
        left_s = min(saying.due_at - time.time(), settle_s)
        who_s = self._who_s.get(saying.task_id) if saying.kind == "finish" else None
        return left_s if who_s is None else max(left_s, who_s + settle_s - self._loop.time())
