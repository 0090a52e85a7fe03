"""The kept output of an exec: one log over the file that is written and the older ones it was rotated into.

`<key>.log` is written; when it is full it becomes `<key>.log.1`, that one `.2` and so on, as many as are kept
(`job_item.keeper.spool`). Files are told by their inode and read by open descriptors, so a rotation in between changes
nothing for whoever reads.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOOKS = 5
"""How often a folder that changes under our eyes is looked at before what was found is taken."""

_MARK_BYTES = 256
_PLACE = re.compile(r"([0-9a-f]{1,16})-([0-9a-f]{1,8})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Place:
    """A position that outlives connections and rotations: the bytes of file `inode` before `offset` are known.

    Inodes are used again, so `mark` is a checksum of the bytes just before; at the start of a file there are none, and
    the inode alone has to do.
    """

    inode: int
    mark: int
    offset: int

    def __str__(self) -> str:
        return f"{self.inode:x}-{self.mark:x}-{self.offset}"


NOWHERE = Place(0, 0, 0)
"""Before the first byte of a log of which there is no file yet."""


def parse_place(text: str) -> Place | None:
    """Read a place back; None where the text is none."""
    found = _PLACE.fullmatch(text)
    return Place(int(found[1], 16), int(found[2], 16), int(found[3])) if found else None


class KeptLog:
    """All that is kept of a log at one moment, addressed by offset from the oldest byte on. To be closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = _open_all(path)
        self._sizes = [os.fstat(descriptor).st_size for descriptor in self._files]

    def size(self) -> int:
        """Bytes kept."""
        return sum(self._sizes)

    def read(self, offset: int, limit: int) -> bytes:
        """At most `limit` bytes from `offset`, within one file; nothing only at the end."""
        place, offset = self._locate(offset)
        return os.pread(self._files[place], limit, offset) if place < len(self._files) else b""

    def tail(self, offset: int) -> Tail:
        """Go on reading from `offset`, live; the descriptors are the tail's from now on."""
        place, offset = self._locate(offset)
        files, self._files = self._files, []
        if place == len(files) and files:
            place, offset = place - 1, self._sizes[-1]
        for descriptor in files[:place]:
            os.close(descriptor)
        return Tail(self._path, files[place:], offset)

    def resume(self, place: Place) -> Tail:
        """Go on at a place that an earlier tail had reached; where it is not kept any more, at the oldest byte."""
        if place == NOWHERE:
            return self.tail(0)
        offset = 0
        for descriptor, size in zip(self._files, self._sizes, strict=True):
            known = place.inode == os.fstat(descriptor).st_ino and place.offset <= size
            if known and place.mark == _mark(descriptor, place.offset):
                return self.tail(offset + place.offset)
            offset += size
        tail = self.tail(0)
        tail.has_lost = True  # files go oldest first: all that is left is newer than that place
        return tail

    def close(self) -> None:
        """Let go of the files."""
        files, self._files = self._files, []
        for descriptor in files:
            os.close(descriptor)

    def _locate(self, offset: int) -> tuple[int, int]:
        """Which file holds `offset`, and where in it; the number of files where it is behind all."""
        for place, size in enumerate(self._sizes):
            if offset < size:
                return place, offset
            offset -= size
        return len(self._sizes), 0


class Tail:
    """Reads on as a log grows, over rotations. To be closed.

    The file that is read stays open: what was written before a rotation is read to its end, however late.
    """

    def __init__(self, path: Path, files: Sequence[int], offset: int) -> None:
        self._path = path
        self._files = list(files)
        self._offset = offset
        self._is_gap_ahead = False
        self.has_lost = False
        """Whether bytes before the next ones were gone before they were read; for the reader to take back."""

    def read(self, limit: int) -> bytes:
        """The next bytes, at most `limit`; nothing where there are no more as yet."""
        while True:
            data = os.pread(self._files[0], limit, self._offset) if self._files else b""
            if data or not self._advance():
                self._offset += len(data)
                return data

    def place(self, back: int = 0) -> Place | None:
        """Where this stands, or `back` bytes before that; None where that is in a file that was left already."""
        if not self._files:
            return NOWHERE
        descriptor, offset = self._files[0], self._offset - back
        return Place(os.fstat(descriptor).st_ino, _mark(descriptor, offset), offset) if offset >= 0 else None

    def close(self) -> None:
        """Let go of the files."""
        files, self._files = self._files, []
        for descriptor in files:
            os.close(descriptor)

    def _advance(self) -> bool:
        """At the end of a file: find those behind it, or go on to the next one; tells whether to read again."""
        if len(self._files) > 1:
            os.close(self._files.pop(0))
            self._offset = 0
            self.has_lost, self._is_gap_ahead = self.has_lost or self._is_gap_ahead, False
            return True
        if not self._files:
            self._files = _open_all(self._path)
            return bool(self._files)
        current = os.fstat(self._files[0])
        self._offset = min(self._offset, current.st_size)  # somebody has emptied the file
        newest = _inode(self._path) or self._moved()
        if newest in (None, current.st_ino):
            return False
        self._find_newer(current.st_ino)
        return len(self._files) > 1  # and what came into the old file before it was moved is read first

    def _moved(self) -> int | None:
        """The newest file between a rotation and the next output: an older one already."""
        return next((inode for each in _older(self._path) if (inode := _inode(each)) is not None), None)

    def _find_newer(self, inode: int) -> None:
        found = _open_all(self._path)
        inodes = [os.fstat(descriptor).st_ino for descriptor in found]
        if inode in inodes:
            known = inodes.index(inode) + 1
            for descriptor in found[:known]:
                os.close(descriptor)
            found = found[known:]
        else:
            self._is_gap_ahead = True
        self._files += found


def _open_all(path: Path) -> list[int]:
    """Open all files of a log, oldest first.

    They are looked at newest first, so a rotation meanwhile shows a file twice and hides none but the newest; then it
    is all done again.
    """
    found: dict[int, int] = {}
    for _ in range(_LOOKS):
        for descriptor in found.values():
            os.close(descriptor)
        found = {}
        newest = _inode(path)
        for each in (path, *_older(path)):
            if (opened := _open(each)) is None:
                continue
            inode = os.fstat(opened).st_ino
            if inode in found:
                os.close(opened)
            else:
                found[inode] = opened
        if newest == _inode(path):
            break
    return list(reversed(found.values()))


def _older(path: Path) -> list[Path]:
    """The rotated files of a log, newest first."""
    prefix = path.name + "."
    numbers: list[int] = []
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix)]
        numbers = sorted(int(rest) for name in names if (rest := name[len(prefix) :]).isdecimal() and rest.isascii())
    return [path.with_name(f"{prefix}{number}") for number in numbers]


def _open(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat(follow_symlinks=False).st_ino
    except OSError:
        return None


def _mark(descriptor: int, offset: int) -> int:
    begin = max(0, offset - _MARK_BYTES)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))
