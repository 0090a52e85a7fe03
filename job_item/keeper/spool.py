"""The output of one attempt on disk: the bytes of both streams in their order of arrival.

`<path>` holds the bytes; `<path>.idx` tells the streams apart: one record of 9 bytes wherever the stream changes, its
offset (8 bytes, big endian) and its number. No index means that all of it is standard output. Bytes that could not be
kept (over the limit, disk full) are counted, and the gap is marked in the place where they are missing.
"""

from __future__ import annotations

import errno
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

    Over `limit_bytes`, data and index together, the beginning and the last bytes are kept and the middle is left out.
    An empty path means that nothing is kept.
    """

    _resumes = False
    """Whether it goes on where an earlier spool of this path ended."""

    def __init__(self, path: str, limit_bytes: int) -> None:
        self._path = path
        self._tail_limit = min(TAIL_BYTES, limit_bytes // 4)
        self._head_limit = limit_bytes - self._tail_limit
        self._data = self._index = -1
        self._index_size = 0
        self._stream = STDOUT
        self._over = False
        self._tail: deque[tuple[int, bytes]] = deque()
        self._tail_size = 0
        self._skipped = self._unmarked = 0
        self.size = 0
        self.dropped = 0
        """Bytes of output that were not kept, for whatever reason."""
        self.refused = 0
        """Those of them that the disk did not take."""
        self.bytes_of = [0, 0, 0]

    def write(self, stream: int, chunk: memoryview) -> None:
        """Take the next bytes of a stream."""
        self.bytes_of[stream] += len(chunk)
        if not self._path:
            self.dropped += len(chunk)
        elif self._over:
            self._hold(stream, chunk)
        else:
            record = RECORD_BYTES if stream != self._stream else 0
            room = max(0, self._head_limit - self.size - self._index_size - record)
            if room:
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
        if self._unmarked:
            self._append(GAP, memoryview(gap_marker(self._unmarked, "the disk took no more")))
        self.dropped += self._skipped
        self._let_go()

    def _hold(self, stream: int, chunk: memoryview) -> None:
        """Keep the last bytes in memory, one piece for each change of stream; what falls out in front is the gap."""
        piece = bytes(chunk[max(0, len(chunk) - self._tail_limit) :])
        self._skipped += len(chunk) - len(piece)
        self._tail_size += len(piece)
        if self._tail and self._tail[-1][0] == stream:
            piece = self._tail.pop()[1] + piece
        else:
            self._tail_size += RECORD_BYTES
        self._tail.append((stream, piece))
        while self._tail_size > self._tail_limit:
            stream, oldest = self._tail.popleft()
            surplus = self._tail_size - self._tail_limit
            if surplus < len(oldest):
                self._tail.appendleft((stream, oldest[surplus:]))
            else:
                surplus = len(oldest)
                self._tail_size -= RECORD_BYTES
            self._tail_size -= surplus
            self._skipped += surplus

    def _put(self, stream: int, chunk: memoryview) -> None:
        """Append; what the disk refuses is counted, and marked as soon as the disk takes something again."""
        if self._unmarked:
            marker = memoryview(gap_marker(self._unmarked, "the disk took no more"))
            if self._append(GAP, marker) == len(marker):
                self._unmarked = 0
        missing = len(chunk) if self._unmarked else len(chunk) - self._append(stream, chunk)
        self._unmarked += missing
        if stream != GAP:
            self.refused += missing
            self.dropped += missing

    def _append(self, stream: int, chunk: memoryview) -> int:
        """Write as much as the disk takes; return how much that was."""
        done = 0
        try:
            if self._data < 0:
                self._open()
            if stream != self._stream:
                self._note_change(stream)
            while done < len(chunk):
                done += os.write(self._data, chunk[done:])
        except OSError:
            pass
        self.size += done
        return done

    def _open(self) -> None:
        self._data = _create(self._path, keep=self._resumes)

    def _note_change(self, stream: int) -> None:
        if self._index < 0:
            self._index = _create(self._path + ".idx", keep=self._resumes)
        record = self.size.to_bytes(8, "big") + bytes((stream,))
        # At its place: a record that a full disk took half of is written again, not continued.
        if os.pwrite(self._index, record, self._index_size) == RECORD_BYTES:
            self._index_size += RECORD_BYTES
            self._stream = stream
        else:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _let_go(self) -> None:
        for descriptor in (self._data, self._index):
            if descriptor >= 0:
                _close(descriptor)
        self._data = self._index = -1


def _create(path: str, *, keep: bool) -> int:
    """Open for writing, at the end of what is there when that is to be kept."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if keep else os.O_TRUNC)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        descriptor = os.open(path, flags, 0o600)
    if keep:
        os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


def _make_folder(path: str) -> None:
    """Make a folder and those above it, all of them for their owner only."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        os.mkdir(path, 0o700)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        pass  # the disk refuses at the last moment; the descriptor is gone all the same
