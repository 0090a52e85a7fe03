"""What watchdog tells of changes of files, in the words of `job_item.inotify`: for systems that have no inotify.

It has threads of its own and tells less exactly (a write that goes on cannot be told from one that has ended), so it
stands in only where the kernel cannot be asked directly.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from job_item.inotify import CLOSE_WRITE, DELETE_SELF, MOVED_TO, Notice

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import ObservedWatch


class Observer:
    """Folders observed by watchdog, as one descriptor to wait on. Raises OSError where that is not to be had."""

    def __init__(self) -> None:
        # A megabyte and two threads: only where it is needed.
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer as System

        self._system = System()
        self._handler = FileSystemEventHandler()
        vars(self._handler)["dispatch"] = self._dispatch
        self._numbers = count(1)
        self._watches: dict[str, int] = {}
        """The number of each path: a folder, or a name in one."""
        self._folders: dict[str, ObservedWatch] = {}
        self._notices: deque[Notice] = deque()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._system.start()

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._reader

    def watch(self, path: str, bits: int) -> int:  # noqa: ARG002 - watchdog tells of everything
        """Listen to what happens to `path`; returns its number. Raises OSError when there is no such file."""
        is_folder = os.path.isdir(path) and not os.path.islink(path)  # noqa: PTH112, PTH114 - as fast as can be
        os.lstat(path)
        folder = path if is_folder else str(Path(path).parent)
        if folder not in self._folders:
            self._folders[folder] = self._system.schedule(self._handler, folder)
        return self._watches.setdefault(path, next(self._numbers))

    def unwatch(self, number: int) -> None:
        """Listen no longer."""
        self._watches = {path: other for path, other in self._watches.items() if other != number}
        wanted = set(self._watches) | {str(Path(path).parent) for path in self._watches}
        for folder in self._folders.keys() - wanted:
            self._system.unschedule(self._folders.pop(folder))

    def take(self) -> list[Notice]:
        """All that has been told since the last call."""
        with suppress(BlockingIOError):
            os.read(self._reader, 1 << 16)
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def close(self) -> None:
        """Let go of it all."""
        self._system.stop()
        self._system.join()
        os.close(self._reader)
        os.close(self._writer)

    def _dispatch(self, event: FileSystemEvent) -> None:
        """Take what watchdog tells, in a thread of its own."""
        if event.event_type in ("opened", "closed_no_write") or (event.is_directory and event.event_type == "modified"):
            return
        told = [*self._about(event.src_path, gone=event.event_type in ("deleted", "moved"))]
        if event.dest_path:
            told += self._about(event.dest_path, gone=False)
        if told:
            self._notices.extend(told)
            with suppress(BlockingIOError):  # then there is enough in it to be waked by
                os.write(self._writer, b"!")

    def _about(self, raw: str | bytes, *, gone: bool) -> list[Notice]:
        path = os.fsdecode(raw)
        found = []
        number, folder = self._watches.get(path), self._watches.get(str(Path(path).parent))
        if number is not None:
            found.append(Notice(number, DELETE_SELF if gone else CLOSE_WRITE, ""))
        if folder is not None and not gone:
            found.append(Notice(folder, MOVED_TO, Path(path).name))
        return found
