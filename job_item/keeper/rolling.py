"""The output of a command that runs for ever: one file that is moved aside when it is full, and some older ones."""

from __future__ import annotations

import os

from job_item.keeper.spool import RECORD_BYTES, STDOUT, Spool


class RollingSpool(Spool):
    """Goes on where an earlier spool of that path ended.

    A file that would grow over `limit_bytes`, its index included, becomes `<path>.1`, the one before it `<path>.2` and
    so on; `older` of them are kept. A new file begins after a whole line, unless the line is longer than a file.
    """

    _resumes = True

    def __init__(self, path: str, limit_bytes: int, older: int) -> None:
        super().__init__(path, limit_bytes)
        self._limit = limit_bytes
        self._older = older
        self._is_within_line = False

    def bound(self, limit_bytes: int, older: int) -> None:
        """Hold it to other bounds from now on."""
        self._limit, self._older = limit_bytes, older

    def write(self, stream: int, chunk: memoryview) -> None:
        """Take the next bytes of a stream."""
        self.bytes_of[stream] += len(chunk)
        while chunk:
            self._resume()
            fitting = self._fitting(stream, chunk)
            if fitting:
                self._put(stream, chunk[:fitting])
                self._is_within_line = chunk[fitting - 1] != ord("\n")
                chunk = chunk[fitting:]
            if chunk:
                self._start_over()

    def _fitting(self, stream: int, chunk: memoryview) -> int:
        """How much of `chunk` goes into the file that is open."""
        record = RECORD_BYTES if stream != self._stream else 0
        room = self._limit - self.size - self._index_size - record
        if room >= len(chunk):
            return len(chunk)
        if room <= 0:
            return 0 if self.size else 1  # a limit below one record: still no endless loop
        whole_lines = bytes(chunk[:room]).rfind(b"\n") + 1
        if whole_lines or (self.size and not self._is_within_line):
            return whole_lines
        return room

    def _resume(self) -> None:
        """Open the file, and find out how far earlier runs have come."""
        if self._data >= 0:
            return
        try:
            self._open()
            self.size = os.fstat(self._data).st_size
            if self.size:
                self._stream = -1  # whatever stream an earlier run ended with, this one names its own
            self._index_size = os.stat(self._path + ".idx").st_size // RECORD_BYTES * RECORD_BYTES
        except OSError:
            pass  # no index, or the disk refuses: then it does so again when something is written, and that is told

    def _start_over(self) -> None:
        """Move the full file aside; one that cannot be moved goes, so that the whole stays bounded."""
        self._let_go()
        self._stream, self.size, self._index_size = STDOUT, 0, 0
        surplus = self._older
        while _remove(self._name(surplus)) | _remove(self._name(surplus) + ".idx"):
            surplus += 1  # what more of them were kept before, too
        for number in range(self._older - 1, -1, -1):
            for suffix in ("", ".idx"):
                _move(self._name(number) + suffix, self._name(number + 1) + suffix)

    def _name(self, number: int) -> str:
        return f"{self._path}.{number}" if number else self._path


def _move(path: str, target: str) -> None:
    try:
        os.replace(path, target)
    except FileNotFoundError:
        _remove(target)
    except OSError:
        _remove(path)


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
