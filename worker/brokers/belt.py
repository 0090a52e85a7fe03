"""What came to a subscription and waits to be taken: in the order of arrival, one at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

WAITING_MAX = 131_072
WAITING_MAX_BYTES = 64 << 20
"""Bounds of what waits here. Beyond them nobody takes anything, and the broker must know (a slow consumer)."""


class Belt(Generic[Item]):
    """Calls `work` for each item; there is a task only while there is something to do.

    Parameters: `work` must not raise; `overflow` is called when more is put on than may wait.
    """

    def __init__(self, work: Callable[[Item], Awaitable[None]], overflow: Callable[[], None]) -> None:
        self._work = work
        self._overflow = overflow
        self._waiting: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._runner: asyncio.Task[None] | None = None

    def put(self, item: Item, size_bytes: int) -> None:
        """Put one more on it."""
        self._waiting.append((item, size_bytes))
        self._bytes += size_bytes
        if len(self._waiting) > WAITING_MAX or self._bytes > WAITING_MAX_BYTES:
            self._overflow()
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._run())

    def clear(self) -> list[Item]:
        """Take off what waits and give it back; what is being worked on is not disturbed."""
        left = [item for item, _ in self._waiting]
        self._waiting.clear()
        self._bytes = 0
        return left

    async def _run(self) -> None:
        try:
            while self._waiting:
                item, size_bytes = self._waiting.popleft()
                self._bytes -= size_bytes
                await self._work(item)
        finally:
            self._runner = None
            if self._waiting:  # `work` has raised: a bug, which must not stop the others
                self._runner = asyncio.get_running_loop().create_task(self._run())
