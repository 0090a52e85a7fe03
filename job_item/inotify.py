"""The kernel's word on changes of files (inotify(7)), as one descriptor to wait on.

Called directly: an observer of watchdog has two threads and 1.1 MB, holds renames back for half a second to pair them,
and cannot change what it listens to.
"""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass

from job_item.process import is_portable

MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE = 0x40, 0x80, 0x100
DELETE_SELF, MOVE_SELF = 0x400, 0x800
OVERFLOW, IGNORED = 0x4000, 0x8000
ONLY_FOLDER, DONT_FOLLOW = 0x1000000, 0x2000000

_HEAD = struct.Struct("iIII")
_READ_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Notice:
    """One event: the number of the watch, what has happened (bits), and to which name in a watched folder."""

    watch: int
    bits: int
    name: str


class NoInotify(OSError):  # noqa: N818 - says what is not there
    """The system has no such thing, or the portable path is asked for."""


class Inotify:
    """One inotify instance.

    Raises NoInotify, or another OSError where there is none left (fs.inotify.max_user_instances).
    """

    def __init__(self) -> None:
        if is_portable():
            raise NoInotify("the portable path does without inotify")
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:
            raise NoInotify("this system has no inotify") from None

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._descriptor

    def watch(self, path: str, bits: int) -> int:
        """Listen to these events of `path` and to no others; returns the number, one for each inode.

        Raises OSError: there is no such file, or the system's watches are used up (fs.inotify.max_user_watches).
        """
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), ctypes.c_uint32(bits))
        return self._checked(number)

    def unwatch(self, number: int) -> None:
        """Listen no longer; the kernel has forgotten a watch by itself when its inode is gone."""
        self._libc.inotify_rm_watch(self._descriptor, number)

    def take(self) -> list[Notice]:
        """All that has been told since the last call."""
        notices: list[Notice] = []
        while True:
            try:
                content = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return notices
            notices += _parse(content)
            if len(content) < _READ_BYTES // 2:
                return notices

    def close(self) -> None:
        """Let go of it all."""
        os.close(self._descriptor)

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _parse(content: bytes) -> list[Notice]:
    notices, position = [], 0
    while position < len(content):
        watch, bits, _, length = _HEAD.unpack_from(content, position)
        position += _HEAD.size
        name = content[position : position + length].rstrip(b"\0")
        position += length
        notices.append(Notice(watch, bits, os.fsdecode(name)))
    return notices
