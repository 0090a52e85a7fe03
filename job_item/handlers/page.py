"""The page of memory that a keeper shares with its hand: where the output of the job that runs belongs.

The keeper counts up *before* it reads a pipe. So a hand that finds its pipes empty and the count unchanged knows that
the job wrote nothing, without asking anybody. The place is written between two odd and even numbers: a reader that
meets a writer looks again.
"""

from __future__ import annotations

import mmap
import struct

_BYTES = 8192
_READS, _TURN, _PLACE = 0, 8, 16
_NUMBER, _HEAD = struct.Struct("=Q"), struct.Struct("=QH")
_TRIES = 100


class Page:
    """Made before the fork; both sides have the same."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _BYTES)

    @property
    def reads(self) -> int:
        """How often the keeper has begun to read a pipe."""
        return int(_NUMBER.unpack_from(self._map, _READS)[0])

    def count_read(self) -> None:
        """The keeper is about to read a pipe."""
        _NUMBER.pack_into(self._map, _READS, self.reads + 1)

    def put(self, path: bytes, limit_bytes: int) -> None:
        """Output belongs into the spool at `path` from now on."""
        (turn,) = _NUMBER.unpack_from(self._map, _TURN)
        _NUMBER.pack_into(self._map, _TURN, turn + 1)
        _HEAD.pack_into(self._map, _PLACE, limit_bytes, len(path))
        start = _PLACE + _HEAD.size
        self._map[start : start + len(path)] = path
        _NUMBER.pack_into(self._map, _TURN, turn + 2)

    def place(self) -> tuple[str, int]:
        """Where output belongs, and how much of it is kept. Empty before the first job."""
        for _ in range(_TRIES):
            (before,) = _NUMBER.unpack_from(self._map, _TURN)
            limit_bytes, length = _HEAD.unpack_from(self._map, _PLACE)
            start = _PLACE + _HEAD.size
            path = self._map[start : start + length]
            if before % 2 == 0 and _NUMBER.unpack_from(self._map, _TURN)[0] == before:
                return path.decode(), limit_bytes
        return "", 0  # a thread that writes while the next job begins, again and again: nobody's output
