"""Reading the output of an attempt back from its spool (written by `job_item.keeper.spool`)."""

from __future__ import annotations

import os
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from job_item.keeper.spool import GAP, RECORD_BYTES, STDERR, STDOUT

RUNS_AT_ONCE = 1024
"""What is read of an index in one call: the loop of the job child waits for it."""

_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_RECORD = struct.Struct(">QB")


class Output:
    """The bytes of both streams in their order of arrival. Nothing there yet is the same as empty."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._index = f"{self._path}.idx"

    def size(self) -> int:
        """Bytes written so far."""
        try:
            return os.stat(self._path).st_size  # noqa: PTH116 - asked for each job, and a Path costs more than the call
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        try:
            return os.pread(descriptor, limit, offset)
        finally:
            os.close(descriptor)

    def runs(self, start: int, stop: int) -> Sequence[tuple[int, int, str]]:
        """Which stream wrote what between two offsets: (start, stop, "stdout" | "stderr" | "gap"), in order.

        At most `RUNS_AT_ONCE` of them from `start` on: go on where the last one ends. Nothing only where `start` is not
        before `stop`. A gap is the line that stands for bytes that could not be kept.
        """
        if start >= stop:
            return []
        (_, first), *others = self._changes(start)
        within = bisect_left(others, (stop, GAP))
        borders = [(start, first), *others[:within]]
        if within < RUNS_AT_ONCE:
            borders.append((stop, GAP))
        return [
            (begin, end, _NAMES.get(stream, "gap"))
            for (begin, stream), (end, _) in pairwise(borders)
            if start <= begin < end <= stop
        ]

    def tail(self, stream: str, limit: int) -> bytes:
        """The last of what one stream wrote, at most `limit` bytes; of many changes of stream only the last count."""
        size = self.size()
        try:
            descriptor = os.open(self._index, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return self.read(max(0, size - limit), limit) if stream == "stdout" else b""
        try:
            first = max(0, len(_Offsets(descriptor)) - RUNS_AT_ONCE)
            raw = os.pread(descriptor, RUNS_AT_ONCE * RECORD_BYTES, first * RECORD_BYTES)
        finally:
            os.close(descriptor)
        pieces: list[bytes] = []
        stop, left = size, limit
        for begin, kind in reversed(list(_RECORD.iter_unpack(raw[: len(raw) - len(raw) % RECORD_BYTES]))):
            if left and _NAMES.get(kind) == stream and begin < stop:
                pieces.append(self.read(max(begin, stop - left), min(left, stop - begin)))
                left -= len(pieces[-1])
            stop = begin
        return b"".join(reversed(pieces))

    def _changes(self, start: int) -> list[tuple[int, int]]:
        """The change that `start` lies behind, and at most `RUNS_AT_ONCE` that follow."""
        try:
            descriptor = os.open(self._index, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return [(0, STDOUT)]
        try:
            # What is behind the last whole record is being written.
            place = bisect_right(_Offsets(descriptor), start) - 1
            raw = os.pread(descriptor, (RUNS_AT_ONCE + 1) * RECORD_BYTES, max(place, 0) * RECORD_BYTES)
        finally:
            os.close(descriptor)
        records = list(_RECORD.iter_unpack(raw[: len(raw) - len(raw) % RECORD_BYTES]))
        return (records if place >= 0 else [(0, STDOUT), *records])[: RUNS_AT_ONCE + 1]


class _Offsets(Sequence[int]):
    """The offsets in an index, each read when it is asked for: an index may be larger than the output itself."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __len__(self) -> int:
        return os.fstat(self._descriptor).st_size // RECORD_BYTES

    def __getitem__(self, place: Any) -> Any:
        return int.from_bytes(os.pread(self._descriptor, 8, place * RECORD_BYTES), "big")


def spool_path(logs: str, task_id: str, attempt: int) -> str:
    """Where an attempt's output stands below the folder `logs`; 256 folders keep each of them small.

    The last two characters of a UUID are random; of any other id they are at least safe.
    """
    return f"{logs}/{task_id[-2:]}/{task_id}.{attempt}.log"
