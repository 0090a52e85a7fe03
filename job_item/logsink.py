"""The last step of every log line: what it is made of, and that it goes out whole. `job_item.log` says what a line has.

The parent, which says little and must be small, uses this without structlog (`job_item.plainlog`).
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

from job_item.logline import FIRST, Render, colour_line, fit, json_line, text_line
from job_item.redact import Redactor

LINE_MAX_BYTES = 16 << 10
STDERR = 2
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40}


class Wish(Protocol):
    """What the settings say of the log (`job_item.settings.Log`)."""

    @property
    def level(self) -> str:
        """The lowest level that is written."""

    @property
    def format(self) -> str:
        """auto, text or json."""


def choose_level(level: str, environ: Mapping[str, str]) -> int:
    """The lowest level that is written: what LOG_LEVEL says, else `level`."""
    return _LEVELS.get(environ.get("LOG_LEVEL", "").upper(), _LEVELS[level])


def choose_render(format_: str, is_terminal: bool, environ: Mapping[str, str]) -> Render:
    """Choose the form of lines: what `log.format` says, else text on a terminal and JSON elsewhere."""
    if format_ == "json" or (format_ == "auto" and not is_terminal):
        return json_line
    is_plain = not is_terminal or environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return text_line if is_plain else colour_line


def line_limit_bytes(descriptor: int) -> int:
    """The longest line that one write keeps whole: the system promises less for pipes than for files."""
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        is_pipe = False
    return max(select.PIPE_BUF, 4096) if is_pipe else LINE_MAX_BYTES


def now() -> datetime:
    """The moment, as lines tell it."""
    return datetime.now(UTC)


class Finish:
    """The last processor: adds time and level, formats an exception, redacts, orders, renders."""

    def __init__(self, render: Render, redactor: Redactor, limit_bytes: int, now: Callable[[], datetime] = now) -> None:
        self._render = render
        self._redactor = redactor
        self._limit_bytes = limit_bytes
        self._now = now

    @classmethod
    def of(cls, format_: str, redactor: Redactor, environ: Mapping[str, str]) -> Finish:
        """As the settings and the standard error of this process want it."""
        return cls(choose_render(format_, os.isatty(STDERR), environ), redactor, line_limit_bytes(STDERR))

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        """Make the line of `event`, its line end included."""
        trace = _format_exception(event.pop("exc_info", None))
        line: dict[str, object] = {"time": _rfc3339(self._now()), "level": "warning" if method == "warn" else method}
        for key in FIRST:
            if key in event:
                line[key] = self._redactor.value(event.pop(key))
        for key, value in event.items():
            line[key] = self._redactor.value(value, key)
        if trace:
            line["exception"] = self._redactor.text(trace)
        return fit(line, self._render, self._limit_bytes)


class Stderr:
    """Where lines go. A log that cannot be written must not stop the node, so a failed write loses the line."""

    def info(self, line: bytes) -> None:
        """Write one line with one call."""
        try:
            written = os.write(STDERR, line)
            while written < len(line):
                written += os.write(STDERR, line[written:])
        except OSError:
            return

    msg = debug = warn = warning = error = critical = exception = fatal = failure = info


def _format_exception(exc_info: object) -> str:
    """The traceback of `exc_info`: True for the one at hand, an exception, or what `sys.exc_info` gives."""
    error = exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        error = sys.exc_info()[1]
    if not isinstance(error, BaseException):
        return ""
    import traceback

    return "".join(traceback.format_exception(error)).rstrip()


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
