"""Watching the files that the settings come from, at no cost while nobody touches them.

The folder of the configuration is usually the jobs' too, where hundreds of task files come and go in a second. So a
folder is asked for renames only, and each file (and each symbolic link on the way to it) is watched itself; creations
are asked for only where a file that is needed is missing. A look at the signs of the files (device, inode, size, time)
at the parent's own wake-ups is the net under it: network file systems tell nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from errno import ENOSPC

from job_item.inotify import (
    ATTRIB,
    CLOSE_WRITE,
    CREATE,
    DELETE_SELF,
    DONT_FOLLOW,
    IGNORED,
    MODIFY,
    MOVE_SELF,
    MOVED_TO,
    ONLY_FOLDER,
    OVERFLOW,
    Inotify,
    NoInotify,
    Notice,
)
from job_item.plainlog import PlainLog
from job_item.sign import Sign, signs
from supervisor.observer import Observer
from supervisor.trail import Step, Trail, follow
from supervisor.unrest import QUIET_S, Unrest, step

LOOK_S = 0.01
"""How often the notices are taken while files change: a writer that never stops must not keep the parent busy."""
POLL_S = 1.0
"""How often the signs are looked at where the system tells of no changes."""
_FILE_BITS = MODIFY | CLOSE_WRITE | ATTRIB | DELETE_SELF | MOVE_SELF | DONT_FOLLOW
_FOLDER_BITS = MOVED_TO | DELETE_SELF | MOVE_SELF | ONLY_FOLDER
_CONTENT = MODIFY | CLOSE_WRITE


class Watch:
    """Tells when the files are to be read again."""

    def __init__(self, log: PlainLog) -> None:
        self._log = log
        self._inotify: Inotify | Observer | None = None
        self._is_on = False
        self._seen: Mapping[str, Sign] = {}
        self._needed: frozenset[str] = frozenset()
        self._watches: dict[int, set[str] | None] = {}
        """What each watch is for: the names that matter in a folder, None for a file or link itself."""
        self._open: set[int] = set()
        """Watches of files that were written and not closed since."""
        self._unrest: Unrest | None = None
        self._look_s: float | None = None
        """Before this moment the notices are left alone."""

    def start(self) -> None:
        """Listen from now on."""
        if self._is_on:
            return
        self._is_on = True
        try:
            self._inotify = open_notices()
        except (OSError, ImportError) as error:
            self._do_without(error)

    def stop(self) -> None:
        """Listen no longer."""
        self._is_on = False
        self._unrest = self._look_s = None
        self._watches.clear()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def follow(self, files: Mapping[str, Sign], needed: frozenset[str], now_s: float) -> None:
        """Watch these files, which were read when they had these signs; `needed` are those that must be there."""
        self._seen, self._needed = files, needed
        if self._is_on:
            self._arrange()
            self.check(now_s)

    def fileno(self) -> int | None:
        """The descriptor to wait on; None while there is none, or while it is left alone."""
        return None if self._inotify is None or self._look_s is not None else self._inotify.fileno()

    def next_look_s(self) -> float | None:
        """When `look` must come at the latest."""
        return self._look_s

    def look(self, now_s: float) -> bool:
        """Take what has been told; whether the files have changed and come to rest, so that they are to be read."""
        if not self._is_on or (self._look_s is not None and now_s < self._look_s):
            return False
        notices = self._inotify.take() if self._inotify is not None else []
        news = [self._judge(notice) for notice in notices]
        if any(bits is not None for bits in news):
            self._arrange()
        has_changed = self._is_to_compare(news) and self._has_changed()
        return self._step(any(news) or has_changed, notices, now_s)

    def check(self, now_s: float) -> None:
        """Compare the signs, though nothing was told: called whenever the parent is awake for another reason."""
        if self._is_on and self._unrest is None and self._has_changed():
            self._arrange()
            self._step(True, [], now_s)

    def _is_to_compare(self, news: list[bool | None]) -> bool:
        return self._inotify is None or self._unrest is not None or any(bits is not None for bits in news)

    def _step(self, has_news: bool, notices: list[Notice], now_s: float) -> bool:
        self._unrest = step(self._unrest, has_news=has_news, is_unfinished=self._is_unfinished(), now_s=now_s)
        if self._unrest is not None and now_s >= self._unrest.end_s:
            self._unrest, self._look_s = None, None
            self._open.clear()
            if self._inotify is None:
                self._look_s = now_s + POLL_S
            return True
        if self._unrest is not None:
            self._look_s = min(self._unrest.end_s, now_s + LOOK_S)
        elif self._inotify is None:
            self._look_s = now_s + POLL_S
        else:
            self._look_s = now_s + QUIET_S if notices else None
        return False

    def _judge(self, notice: Notice) -> bool | None:
        """Whether what was told is a new content (True), calls for a look (False), or does not matter (None)."""
        if notice.bits & OVERFLOW:
            return True
        if notice.watch not in self._watches:
            return None
        if notice.bits & IGNORED:
            del self._watches[notice.watch]
            self._open.discard(notice.watch)
            return False
        names = self._watches[notice.watch]
        if names is not None and notice.name:
            return True if notice.name in names else None
        if notice.bits & CLOSE_WRITE:
            self._open.discard(notice.watch)
        elif notice.bits & MODIFY:
            self._open.add(notice.watch)
        return bool(notice.bits & _CONTENT)

    def _has_changed(self) -> bool:
        before, self._seen = self._seen, signs(self._seen)
        return self._seen != before

    def _is_unfinished(self) -> bool:
        """Whether a file is being written, or is not there or empty, as it may be for a moment."""
        found = [self._seen.get(path) for path in self._needed]
        return bool(self._open) or any(sign is None or sign[2] == 0 for sign in found)

    def _arrange(self) -> None:
        """Watch what is on the way to the files as it is now; again, where that changed under our eyes."""
        if self._inotify is None:
            return
        for _ in range(3):
            trails = {path: follow(path) for path in self._seen}
            try:
                self._watch_all(self._inotify, trails)
            except OSError as error:
                self._do_without(error)
                return
            if trails == {path: follow(path) for path in self._seen}:
                return

    def _watch_all(self, inotify: Inotify | Observer, trails: Mapping[str, Trail]) -> None:
        folders: dict[str, set[str]] = {}
        for place in (place for trail in trails.values() for place in trail.steps):
            folders.setdefault(place.folder, set()).add(place.name)
        gaps = {trail.steps[-1].folder for path, trail in trails.items() if trail.is_broken and path in self._needed}
        found: dict[int, set[str] | None] = {}
        for folder, names in folders.items():
            with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                number = inotify.watch(folder, _FOLDER_BITS | (CREATE if folder in gaps else 0))
                found[number] = names | (found.get(number) or set())
            for name in names:
                with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
                    found.setdefault(inotify.watch(Step(folder, name).path, _FILE_BITS), None)
        for number in self._watches.keys() - found.keys():
            inotify.unwatch(number)
        self._watches = found
        self._open &= found.keys()

    def _do_without(self, error: OSError | ImportError) -> None:
        """Look at the signs once a second, as the system does not tell."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
        self._watches.clear()
        self._look_s = 0.0
        is_full = isinstance(error, OSError) and error.errno == ENOSPC
        reason = "its watches are used up" if is_full else getattr(error, "strerror", None) or str(error)
        self._log.warning("settings.unwatched", code="ERR-CFG-030", reason=reason, look_every_s=POLL_S)


def open_notices() -> Inotify | Observer:
    """Whoever tells of changes here: the kernel itself, else watchdog.

    Raises OSError or ImportError where nobody does.
    """
    try:
        return Inotify()
    except NoInotify:
        return Observer()
