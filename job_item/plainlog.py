"""The log of a process that says little: the lines of `job_item.log`, made without structlog and its 10 MB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from job_item.logsink import Finish, Stderr, Wish, choose_level
from job_item.redact import Redactor


class PlainLog:
    """The logger of a room.

    Parameters: `wish`, what the settings say of the log; `secrets`, values that no line may show; `environ`, for
    LOG_LEVEL and NO_COLOR.
    """

    def __init__(self, wish: Wish, *, room: str, secrets: Iterable[str], environ: Mapping[str, str]) -> None:
        self._room = room
        self._environ = environ
        self._stderr = Stderr()
        self.become(wish, secrets)

    def become(self, wish: Wish, secrets: Iterable[str]) -> None:
        """Be from now on what new settings say."""
        self._level = choose_level(wish.level, self._environ)
        self._finish = Finish.of(wish.format, Redactor(secrets), self._environ)

    def info(self, event: str, **fields: Any) -> None:
        """Write a line about what has happened: `info("child.spawned", pid=1)`."""
        self._write(20, "info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line about what may be wrong."""
        self._write(30, "warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write a line about what is wrong; `code` is one of the register."""
        self._write(40, "error", event, fields)

    def _write(self, level: int, name: str, event: str, fields: Mapping[str, Any]) -> None:
        if level >= self._level:
            self._stderr.info(self._finish(self, name, {"room": self._room, "event": event, **fields}))
