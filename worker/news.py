"""Who follows which job: the room's own event bus, one topic a task id."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Subscription:
    """News of one job, for one follower. However much happens between two looks, it is one piece of news."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Tell the follower to look again."""
        self._event.set()

    async def changed(self) -> None:
        """Return as soon as something has changed since the last call."""
        await self._event.wait()
        self._event.clear()


class News:
    """Passes on that a job has new output, a new note or a new status."""

    def __init__(self) -> None:
        self._followers: dict[str, set[Subscription]] = {}

    def publish(self, task_id: str) -> None:
        """Something about this job has changed."""
        for follower in self._followers.get(task_id, ()):
            follower.notify()

    @contextmanager
    def follow(self, task_id: str) -> Iterator[Subscription]:
        """Subscribe to one job for as long as the context lasts."""
        follower = Subscription()
        self._followers.setdefault(task_id, set()).add(follower)
        try:
            yield follower
        finally:
            followers = self._followers[task_id]
            followers.discard(follower)
            if not followers:
                del self._followers[task_id]
