"""Whether a job that other nodes could run is taken here: only while a slot is free for it.

A broker that keeps what nobody has accepted hands jobs over ahead. While slots come free at short intervals the next
jobs are at hand here. Where none has for a moment, the node stands back: what is at hand goes back, everybody else is
given jobs first, and only what nobody else wants comes here, one at a time, to keep the queue in being and to be the
next. When there is a slot again, and nothing at hand for it, the node asks like the others.
"""

from __future__ import annotations

import asyncio

from worker.brokers.wish import Wish
from worker.dispatch import Dispatcher

BRIEF_S = 0.2
"""How long a job waits for a slot before the node stands back, which is three questions to the broker."""
HOLD_S = 0.5
"""How long the one job waits that nobody else wanted; then whoever has a slot by now gets it."""
LOOK_S = 60.0


class Appetite:
    """For the jobs of one event, which `wish` brings, `prefetch` at a time while slots are free."""

    def __init__(self, dispatcher: Dispatcher, event: str, wish: Wish, prefetch: int) -> None:
        self.wish = wish
        self.prefetch = prefetch
        self._dispatcher = dispatcher
        self._event = event
        self._nothing_at_hand = asyncio.Event()
        self._nothing_at_hand.set()
        self._coming: asyncio.Task[None] | None = None
        self._is_over = False

    def is_there(self) -> bool:
        """Whether a job would start at once."""
        return self._dispatcher.has_slot(self._event)

    async def comes(self) -> bool:
        """Wait a little for a slot for a job that is at hand; False: let others have it. One job at a time asks."""
        self._nothing_at_hand.clear()
        if await self._dispatcher.slot(self._event, HOLD_S if self.wish.is_behind else BRIEF_S):
            return True
        await self._stand_back()
        return False

    def done(self) -> None:
        """The job that was at hand is taken, or given back."""
        self._nothing_at_hand.set()

    async def _stand_back(self) -> None:
        if not self.wish.is_behind:
            await self.wish.stand(is_behind=True)
        if self._coming is None and not self._is_over:
            self._coming = asyncio.get_running_loop().create_task(self._come_forward())

    async def _come_forward(self) -> None:
        while not self.is_there():
            await self._dispatcher.slot(self._event, LOOK_S)
            await self._nothing_at_hand.wait()
        await self.wish.stand(is_behind=False)
        self._coming = None

    async def stop(self) -> None:
        """No more jobs: the wish is given up."""
        self._is_over = True
        if self._coming is not None:
            self._coming.cancel()
        await self.wish.cancel()
