"""Tasks of which something is said that nobody takes, and when each is tried again.

Two ways. Without a Job Manager nobody may ever want to know: each is tried for about a minute, at moments of its own,
and of too many the oldest are given up. With one, what is said is kept for it however long it is away: each is tried
some times, then a few at a time are tried as scouts, in turns. A scout that is heard wakes more, and each of these more
again. So a manager that comes back is noticed within a second or so and then gets all at the pace at which it takes
it, an absent one costs next to nothing, and they are never all tried at the same moment.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from job_item.policy import Backoff

TRIES = 17
JOBS_MAX = 1_000
"""How often (that is about a minute), and for how many jobs at most, something is tried without a Job Manager."""
REPEATS = Backoff(0.1, 2.0, 5.0, 0.0)
TRIES_PER_S = 100.0
"""How often all of them together are tried at most: where nobody listens at all, that is not to slow the work down."""
PATIENCE_S = 60.0
"""How long something is tried at most without a Job Manager."""
QUICK_TRIES = 6
"""So often each is tried by itself; then it waits to be woken."""
SCOUTS, SCOUT_S = 8, 1.0
"""So many are woken at a time, and how often."""
FOLLOWERS = 64
"""So many are woken when one that had waited is heard."""


def pause_s(tries: int, rivals: int) -> float:
    """How long one waits for its next try, of so many that nobody takes."""
    return max(REPEATS.delay_s(tries, 0.0), rivals / TRIES_PER_S)


@dataclass(slots=True)
class _Place:
    """One task that waits."""

    since_s: float
    tries: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_let_go: bool = False


class Unheard:
    """Where tasks wait for their next try. `is_patient`: there is a Job Manager, for which everything is kept."""

    def __init__(self, *, is_patient: bool) -> None:
        self.is_patient = is_patient
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._places)

    async def next_try(self, task_id: str) -> bool:
        """Wait until a task is to be tried again; False where it is not, as it was let go."""
        place = self._places.get(task_id)
        if place is None:
            place = self._places[task_id] = _Place(self._loop.time())
        place.tries += 1
        if not self.is_patient:
            self.let_go(len(self._places) - JOBS_MAX)
            is_tried_long = self._loop.time() - place.since_s >= PATIENCE_S
            if place.tries >= TRIES or is_tried_long or place.is_let_go:
                return False
        is_quick = not self.is_patient or place.tries < QUICK_TRIES
        if not is_quick and self._alarm is None:
            self._alarm = self._loop.call_later(SCOUT_S, self._send_scouts)
        rivals = 0 if self.is_patient else len(self._places)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s(place.tries, rivals) if is_quick else None):
                await place.wake.wait()
        place.wake.clear()
        return not place.is_let_go

    def tries(self, task_id: str) -> int:
        """How often a task was tried in vain."""
        place = self._places.get(task_id)
        return place.tries if place else 0

    def leave(self, task_id: str) -> None:
        """Somebody has it, or it is not said any more."""
        self._places.pop(task_id, None)

    def let_go(self, count: int) -> None:
        """Let those that wait longest go."""
        for place in tuple(islice(self._places.values(), max(0, count))):
            place.is_let_go = True
            place.wake.set()

    def heard(self, task_id: str) -> None:
        """Something of a task was taken; if it had waited, others may be taken too.

        What is taken at once tells nothing of those that wait: their tries are not to follow the pace of a busy node.
        """
        if self.is_patient and task_id in self._places:
            self._wake(FOLLOWERS)

    def stop(self) -> None:
        """Wake nobody any more."""
        if self._alarm is not None:
            self._alarm.cancel()

    def _send_scouts(self) -> None:
        self._alarm = self._loop.call_later(SCOUT_S, self._send_scouts) if self._places else None
        self._wake(SCOUTS)

    def _wake(self, count: int) -> None:
        """Wake those whose turn it is."""
        for task_id in list(islice(self._places, count)):
            self._places.move_to_end(task_id)
            self._places[task_id].wake.set()
