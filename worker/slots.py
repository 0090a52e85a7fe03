"""The slots of this node: how many are taken, and who waits until one is free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worker.line import Line
from worker.standing import Board


class Slots:
    """As many as `limits.concurrency` says at the moment; a job takes one of the node's and one of its event's."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.taken = 0
        self._hopeful: set[asyncio.Future[None]] = set()

    @property
    def free(self) -> int:
        """How many jobs could start now; none where fewer are allowed than run."""
        return max(0, self._board.standing.settings.limits.concurrency - self.taken)

    def take(self, line: Line) -> None:
        """Take one for a job of this line."""
        self.taken += 1
        line.running += 1

    def release(self, line: Line) -> None:
        """Give it back."""
        self.taken -= 1
        line.running -= 1

    def tell(self) -> None:
        """Have all who wait look again."""
        for hope in self._hopeful:
            if not hope.done():
                hope.set_result(None)

    async def wait(self, is_free: Callable[[], bool], within_s: float) -> bool:
        """Wait until `is_free` says so, for so long at most; tells whether it does."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + within_s
        while not is_free():
            left_s = deadline_s - loop.time()
            if left_s <= 0:
                return False
            hope: asyncio.Future[None] = loop.create_future()
            self._hopeful.add(hope)
            try:
                await asyncio.wait({hope}, timeout=left_s)
            finally:
                self._hopeful.discard(hope)
        return True
