"""News of the logs of execs. Another room writes them, so the kernel is asked to tell of changes (inotify(7)).

It is asked only while somebody follows a log. A command that floods its log must not wake the job child for every
piece, so after each piece of news there is a short pause. Where the kernel has no inotify, or none to spare, logs that
are followed are looked at a few times a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job_item import process
from worker.news import News, Subscription

PAUSE_S = 0.02
LOOK_S = 0.2

_MODIFY, _MOVED_TO, _CREATE, _OVERFLOW, _IGNORED, _ONLY_FOLDERS = 0x2, 0x80, 0x100, 0x4000, 0x8000, 0x01000000
_HEAD = struct.Struct("iIII")
_READ_BYTES = 1 << 16


class LogNews:
    """Tells followers of changes of the files in one folder; a topic is the name of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._news = News()
        self._topics: list[str] = []
        self._watch: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def publish(self, name: str) -> None:
        """Something else about the exec of this file has changed."""
        self._news.publish(name)

    @contextmanager
    def follow(self, name: str) -> Iterator[Subscription]:
        """Subscribe to one file for as long as the context lasts."""
        if not self._topics:
            self._open()
        self._topics.append(name)
        try:
            with self._news.follow(name) as follower:
                yield follower
        finally:
            self._topics.remove(name)
            if not self._topics:
                self._close()

    def _open(self) -> None:
        self._watch = None if process.is_portable() else watch_folder(self._folder)
        self._listen()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._watch is None:
            self._timer = loop.call_later(LOOK_S, self._look)
        else:
            self._timer = None
            loop.add_reader(self._watch, self._take)

    def _look(self) -> None:
        self._publish_all()
        self._listen()

    def _take(self) -> None:
        assert self._watch is not None  # noqa: S101 - its reader is registered
        names = read_names(self._watch)
        if names is None:
            self._close()
            self._open()
            self._publish_all()
            return
        for name in names:
            self._news.publish(name)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._watch)
        self._timer = loop.call_later(PAUSE_S, self._listen)

    def _publish_all(self) -> None:
        for name in set(self._topics):
            self._news.publish(name)


def watch_folder(folder: Path) -> int | None:
    """Ask the kernel to tell of changes in a folder, which is made where it is missing; None where it does not."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return None
    if descriptor < 0:
        return None
    wanted = _MODIFY | _MOVED_TO | _CREATE | _ONLY_FOLDERS
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), wanted) < 0:
        os.close(descriptor)
        return None
    return descriptor


def read_names(descriptor: int) -> set[str] | None:
    """The files that have changed; None where that is not known, or the folder itself is gone."""
    try:
        events = os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return set()
    names = set()
    at = 0
    while at < len(events):
        _, mask, _, size = _HEAD.unpack_from(events, at)
        if mask & (_OVERFLOW | _IGNORED):
            return None
        at += _HEAD.size + size
        names.add(os.fsdecode(events[at - size : at].rstrip(b"\0")))
    return names
