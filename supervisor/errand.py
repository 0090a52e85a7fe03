"""A process that was sent to read the settings, as the parent holds it: born, given a time, heard, buried."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from supervisor.born import Born, bear
from supervisor.finding import Finding
from supervisor.forkserver import Forkserver
from supervisor.reading import Reading, Task, receive

DIED = Finding("ERR-SUP-021", "", "the process that reads the settings has died")
_LATE = Finding("ERR-SUP-021", "", "the process that reads the settings took too long")
_ENTRY = "supervisor.reader:main"


class Errand:
    """One reader, until it is buried.

    Parameters: `limit_s`, after which it is killed; `tell` hears what it brings, or what became of it, and only the
    first word counts; `home` is called last, when nothing of it is left.
    """

    def __init__(
        self, reader: Born, limit_s: float, tell: Callable[[Reading | Finding], None], home: Callable[[], None]
    ) -> None:
        self.end_s: float | None = time.monotonic() + limit_s
        """When it is killed, by the monotonic clock; None once it was."""
        self._reader = reader
        self._tell = tell
        self._home = home

    @property
    def pid(self) -> int:
        """Its process."""
        return self._reader.pid

    def sources(self) -> Mapping[int, Callable[[], None]]:
        """What to wait for, and what to do then."""
        sources: dict[int, Callable[[], None]] = {}
        if self._reader.is_linked:  # before its death: where both are there it is heard, and then buried
            sources[self._reader.connection.fileno()] = self._receive
        sources[self._reader.grave] = self._bury
        return sources

    def turn(self, now_s: float) -> None:
        """Do what time asks for."""
        if self.end_s is not None and now_s >= self.end_s:
            self.end_s = None
            self.kill()
            self._tell(_LATE)

    def kill(self) -> None:
        """Send SIGKILL: nobody waits for it any more."""
        self._reader.kill()

    def _receive(self) -> None:
        try:
            word: Reading | Finding = receive(self._reader.connection)
        except Exception:  # whatever unpickling raises: the reader is at fault
            word = DIED
        self._reader.unlink()
        self._tell(word)

    def _bury(self) -> None:
        if self._reader.has_message():
            self._receive()
        self._reader.bury()
        self._tell(DIED)
        self._home()


def send(births: Forkserver, task: Task, listeners: Iterable[socket.socket]) -> Born:
    """Start a reader. Raises OSError or EOFError when no process can be made.

    A forkserver that was killed under it is replaced at the second try.
    """
    begin = partial[tuple[Any, Any]](bear, births, "reader", _ENTRY, task, *listeners)
    try:
        made = begin()
    except EOFError:
        made = begin()
    return Born(*made, births)
