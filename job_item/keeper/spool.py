"""The output of one attempt on disk: the bytes of both streams in their order of arrival.

`<path>` holds the bytes; `<path>.idx` tells the streams apart: one record of 9 bytes wherever the stream changes, its
offset (8 bytes, big endian) and its number. No index means that all of it is standard output. Bytes that could not be
kept (over the limit, disk full) are counted, and the gap is marked in the place where they are missing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
else:
    from _collections import deque  # the C module itself: `collections` costs every keeper half a megabyte

GAP, STDOUT, STDERR = 0, 1, 2
RECORD_BYTES = 9
TAIL_BYTES = 64 * 1024
"""How much of the end is kept when the output is over its limit: the end is where the error stands."""


def gap_marker(missing_bytes: int, why: str) -> bytes:
    """The line that stands in the spool in place of what is missing."""
    return f"\n[job_item: {missing_bytes} bytes of output are missing here: {why}]\n".encode()


class Spool:
    """Writes the output of one command. No error of the disk ever stops the reader of the pipe.

    Over `limit_bytes` the beginning and the last bytes are kept and the middle is left out; with `rotate` a full file
    becomes `<path>.1` instead and a new one begins.
    """

    def __init__(self, path: str, limit_bytes: int, *, rotate: bool = False) -> None:
        self._path = path
        self._tail_limit = min(TAIL_BYTES, limit_bytes // 4)
        self._head_limit = limit_bytes - self._tail_limit
        self._rotate = rotate
        self._data = self._index = -1
        self._stream = STDOUT
        self._over = False
        self._tail: deque[tuple[int, bytes]] = deque()
        self._tail_size = 0
        self._skipped = self._refused = 0
        self.size = 0
        self.dropped = 0
        self.bytes_of = [0, 0, 0]

    def write(self, stream: int, chunk: memoryview) -> None:
        """Take the next bytes of a stream."""
        self.bytes_of[stream] += len(chunk)
        if self._rotate:
            if self.size >= self._head_limit:
                self._start_over()
            self._put(stream, chunk)
        elif self._over:
            self._hold(stream, chunk)
        else:
            room = self._head_limit - self.size
            self._put(stream, chunk[:room])
            if len(chunk) > room:
                self._over = True
                self._hold(stream, chunk[room:])

    def close(self) -> None:
        """Write the end that was held back, mark the gaps, let go of the files."""
        if self._skipped:
            self._put(GAP, memoryview(gap_marker(self._skipped, "over the output limit")))
        for stream, chunk in self._tail:
            self._put(stream, memoryview(chunk))
        self._tail.clear()
        if self._refused:
            self._append(GAP, memoryview(gap_marker(self._refused, "the disk took no more")))
        self.dropped += self._skipped
        self._let_go()

    def _hold(self, stream: int, chunk: memoryview) -> None:
        """Keep the last bytes in memory; what falls out at the front is the gap."""
        piece = bytes(chunk[max(0, len(chunk) - self._tail_limit) :])
        self._skipped += len(chunk) - len(piece)
        self._tail.append((stream, piece))
        self._tail_size += len(piece)
        while self._tail_size > self._tail_limit:
            stream, oldest = self._tail.popleft()
            surplus = min(self._tail_size - self._tail_limit, len(oldest))
            self._tail_size -= surplus
            self._skipped += surplus
            if surplus < len(oldest):
                self._tail.appendleft((stream, oldest[surplus:]))

    def _put(self, stream: int, chunk: memoryview) -> None:
        """Append; what the disk refuses is counted, and marked as soon as the disk takes something again."""
        if self._refused:
            marker = memoryview(gap_marker(self._refused, "the disk took no more"))
            if self._append(GAP, marker) == len(marker):
                self._refused = 0
        missing = len(chunk) if self._refused else len(chunk) - self._append(stream, chunk)
        self._refused += missing
        if stream != GAP:
            self.dropped += missing

    def _append(self, stream: int, chunk: memoryview) -> int:
        """Write as much as the disk takes; return how much that was."""
        done = 0
        try:
            if self._data < 0:
                self._data = _create(self._path)
            if stream != self._stream:
                os.write(self._index_descriptor(), self.size.to_bytes(8, "big") + bytes((stream,)))
                self._stream = stream
            while done < len(chunk):
                done += os.write(self._data, chunk[done:])
        except OSError:
            pass
        self.size += done
        return done

    def _let_go(self) -> None:
        for descriptor in (self._data, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._index = -1

    def _index_descriptor(self) -> int:
        if self._index < 0:
            self._index = _create(self._path + ".idx")
        return self._index

    def _start_over(self) -> None:
        self._let_go()
        self._stream, self.size = STDOUT, 0
        for suffix, rotated in (("", ".1"), (".idx", ".1.idx")):
            try:
                os.replace(self._path + suffix, self._path + rotated)
            except FileNotFoundError:
                _remove(self._path + rotated)


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
