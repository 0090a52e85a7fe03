"""Jobs that wait for a moment of their own: the pause before a next attempt, measured by the loop's own clock."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from worker.journal import Waiting


class Pauses:
    """Gives each job to `give_back` with its event when its pause is over, then calls `on_due` once for all of them."""

    def __init__(self, give_back: Callable[[str, Waiting], object], on_due: Callable[[], None]) -> None:
        self._give_back = give_back
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, str, Waiting]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._heap)

    def begin(self, event: str, waiting: Waiting, pause_s: float) -> None:
        """Have a job wait for so long."""
        heapq.heappush(self._heap, (self._loop.time() + pause_s, waiting.seq, event, waiting))
        self._set_alarm()

    def close(self) -> None:
        """Give nothing back any more."""
        self._closed = True
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._heap and not self._closed:
            self._alarm = self._loop.call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        now_s = self._loop.time()
        while self._heap and self._heap[0][0] <= now_s:
            _, _, event, waiting = heapq.heappop(self._heap)
            self._give_back(event, waiting)
        self._set_alarm()
        self._on_due()
