"""Reading the output of an attempt back from its spool (written by `job_item.keeper.spool`)."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from job_item.keeper.spool import GAP, RECORD_BYTES, STDERR, STDOUT

_NAMES = {GAP: "gap", STDOUT: "stdout", STDERR: "stderr"}


class Output:
    """The bytes of both streams in their order of arrival. Nothing there yet is the same as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = Path(f"{path}.idx")

    def size(self) -> int:
        """Bytes written so far."""
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, limit, offset)
        finally:
            os.close(descriptor)

    def runs(self, start: int, stop: int) -> Sequence[tuple[int, int, str]]:
        """Which stream wrote what between two offsets: (start, stop, "stdout" | "stderr" | "gap"), in order.

        A gap is the line that stands for bytes that could not be kept.
        """
        borders = [(0, STDOUT), *self._changes()]
        first = bisect_right(borders, (start, STDERR + 1)) - 1
        found = []
        for place in range(max(first, 0), len(borders)):
            begin, stream = borders[place]
            end = borders[place + 1][0] if place + 1 < len(borders) else stop
            begin, end = max(begin, start), min(end, stop)
            if begin < end:
                found.append((begin, end, _NAMES[stream]))
            elif begin >= stop:
                break
        return found

    def _changes(self) -> list[tuple[int, int]]:
        try:
            raw = self._index.read_bytes()
        except FileNotFoundError:
            return []
        whole = len(raw) - len(raw) % RECORD_BYTES  # the last record may be half written
        records = (raw[at : at + RECORD_BYTES] for at in range(0, whole, RECORD_BYTES))
        return [(int.from_bytes(record[:8], "big"), record[8]) for record in records]


def spool_path(logs: str, task_id: str, attempt: int) -> str:
    """Where an attempt's output stands below the folder `logs`; 256 folders keep each of them small.

    The last two characters of a UUID are random; of any other id they are at least safe.
    """
    return f"{logs}/{task_id[-2:]}/{task_id}.{attempt}.log"
