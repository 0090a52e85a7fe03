"""News of the logs of execs. Another room writes them, so the kernel is asked to tell of changes (inotify(7)).

It is asked only while somebody follows a log. A command that floods its log must not wake the job child for every
piece, so after each piece of news there is a short pause. Where the kernel has no inotify, or none to spare, logs that
are followed are looked at a few times a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from job_item.inotify import CREATE, IGNORED, MODIFY, MOVED_TO, ONLY_FOLDER, OVERFLOW, Inotify
from worker.news import News, Subscription

PAUSE_S = 0.02
LOOK_S = 0.2


class LogNews:
    """Tells followers of changes of the files in one folder; a topic is the name of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._news = News()
        self._topics: list[str] = []
        self._watch: Inotify | None = None
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
        self._watch = watch_folder(self._folder)
        self._listen()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            self._watch.close()
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


def watch_folder(folder: Path) -> Inotify | None:
    """Ask the kernel to tell of changes in a folder, which is made where it is missing; None where it does not."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        inotify = Inotify()
    except OSError:
        return None
    try:
        inotify.watch(str(folder), MODIFY | MOVED_TO | CREATE | ONLY_FOLDER)
    except OSError:
        inotify.close()
        return None
    return inotify


def read_names(inotify: Inotify) -> set[str] | None:
    """The files that have changed; None where that is not known, or the folder itself is gone."""
    notices = inotify.take()
    if any(notice.bits & (OVERFLOW | IGNORED) for notice in notices):
        return None
    return {notice.name for notice in notices}
