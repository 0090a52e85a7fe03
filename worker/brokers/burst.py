"""Bytes that go out together: what is said within a few turns of the loop is written in one call.

A job says several things within a millisecond, each in a turn of its own, and each write wakes the server up. Waiting
for the next turns costs microseconds, as they follow at once while there is something to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

TURNS_MAX = 4
"""After so many it is written, whatever else is said."""


class Burst:
    """Calls `write` with all that was put in, in its order."""

    def __init__(self, write: Callable[[list[bytes]], None]) -> None:
        self.size_bytes = 0
        """What has not been written yet."""
        self._write = write
        self._pieces: list[bytes] = []
        self._turns = 0
        self._is_fresh = False
        self._loop = asyncio.get_running_loop()

    def put(self, *pieces: bytes) -> None:
        """Have something written soon."""
        if not self._pieces:
            self._turns = 0
            self._loop.call_soon(self._turn)
        self._is_fresh = True
        self._pieces.extend(pieces)
        self.size_bytes += sum(map(len, pieces))

    def _turn(self) -> None:
        self._turns += 1
        if self._is_fresh and self._turns < TURNS_MAX:
            self._is_fresh = False
            self._loop.call_soon(self._turn)
            return
        self.push()

    def push(self) -> None:
        """Write now."""
        if self._pieces:
            pieces, self._pieces, self.size_bytes = self._pieces, [], 0
            self._write(pieces)
