"""The lines that one run of an exec has written to its log so far, for probes that look for one."""

from __future__ import annotations

import os
from pathlib import Path

READ_BYTES = 1 << 18
"""How much is read in one call: the loop waits for it."""
LINE_BYTES = 8192
"""A longer line is looked at in pieces of this size."""


class LogLines:
    """Reads on where it stopped, over files that have been moved aside, too. Made before the run writes anything."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._rest = b""
        self._read = {inode: size for _, inode, size in self._files()}
        """How far each file of the log, known by its inode, is read."""

    def read(self) -> tuple[list[str], bool]:
        """The next lines, and whether there may be more at once. What has no end yet comes as a line, too, and again
        when it has grown.
        """
        files = self._files()
        self._read = {inode: self._read.get(inode, 0) for _, inode, _ in files}
        for path, inode, size in files:
            start = self._read[inode] if self._read[inode] <= size else 0
            if start < size:
                chunk = _read(path, inode, start)
                self._read[inode] = start + len(chunk)
                return self._cut(chunk), bool(chunk)
        return self._cut(b""), False

    def _cut(self, chunk: bytes) -> list[str]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        pieces = [line[at : at + LINE_BYTES] for line in lines for at in range(0, max(len(line), 1), LINE_BYTES)]
        self._rest = self._rest[-LINE_BYTES:]
        return [piece.decode("utf-8", "replace") for piece in (*pieces, self._rest)]

    def _files(self) -> list[tuple[Path, int, int]]:
        """Name, inode and size of the log's files, oldest first.

        While they are being moved one name is missing for a moment. They move to higher numbers, so that a look from
        the lowest on misses none; one that is met twice does no harm.
        """
        found: list[tuple[Path, int, int]] = []
        number = missing = 0
        while missing < 2:
            path = Path(f"{self._path}.{number}") if number else self._path
            number += 1
            try:
                status = path.stat()
            except OSError:
                missing += 1
            else:
                missing = 0
                found.append((path, status.st_ino, status.st_size))
        return found[::-1]


def _read(path: Path, inode: int, start: int) -> bytes:
    try:
        with path.open("rb") as file:
            is_same = os.fstat(file.fileno()).st_ino == inode
            return os.pread(file.fileno(), READ_BYTES, start) if is_same else b""
    except OSError:
        return b""  # it was moved aside this moment: found again under its other name
