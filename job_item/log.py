"""The log: what a process of the node says of itself, on standard error.

Every line has time (RFC 3339, UTC), level, room and event (past tense, dotted), errors a `code` of the register, and
lines about a job or exec its `task_id` or `exec`. A line is one `write`, so that the lines of several processes do not
mix. Everything passes the redactor. Libraries that use `logging` or `warnings` take the same way.
"""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from job_item.logline import FIRST, Render, colour_line, fit, json_line, text_line
from job_item.redact import Redactor

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from job_item.settings import Log

LINE_MAX_BYTES = 16 << 10
_STDERR = 2
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40}


def configure(settings: Log, *, room: str, secrets: Iterable[str], environ: Mapping[str, str]) -> None:
    """Set this process's log up; a later call replaces the earlier one.

    Parameters: `room`, for lines of libraries; `secrets`, values that no line may show; `environ`, for LOG_LEVEL, which
    wins over `settings.level`, and NO_COLOR.
    """
    level = _LEVELS.get(environ.get("LOG_LEVEL", "").upper(), _LEVELS[settings.level])
    _install(level, choose_render(settings.format, os.isatty(_STDERR), environ), Redactor(secrets), is_final=True)
    _adopt_libraries(level, room)
    _adopt_failures(room)


def get(room: str) -> FilteringBoundLogger:
    """The logger of a room: `get("worker").info("job.finished", task_id=...)`.

    Before `configure`, lines are written with the defaults. A later `configure` holds for all loggers; those that
    are in use already keep their level.
    """
    structlog = _import_structlog()
    if not structlog.is_configured():
        _install(_LEVELS["INFO"], choose_render("auto", os.isatty(_STDERR), os.environ), Redactor(), is_final=False)
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


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


class Finish:
    """The last processor: adds time and level, formats an exception, redacts, orders, renders."""

    def __init__(self, render: Render, redactor: Redactor, limit_bytes: int, now: Callable[[], datetime]) -> None:
        self._render = render
        self._redactor = redactor
        self._limit_bytes = limit_bytes
        self._now = now

    def __call__(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
        """Make the line of `event`, its line end included."""
        trace = _format_exception(event.pop("exc_info", None))
        line: dict[str, object] = {"time": _rfc3339(self._now()), "level": "warning" if method == "warn" else method}
        for key in FIRST:
            if key in event:
                line[key] = self._redactor.text(str(event.pop(key)))
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
            written = os.write(_STDERR, line)
            while written < len(line):
                written += os.write(_STDERR, line[written:])
        except OSError:
            return

    msg = debug = warn = warning = error = critical = exception = fatal = failure = info


def _install(level: int, render: Render, redactor: Redactor, is_final: bool) -> None:
    structlog = _import_structlog()
    finish = Finish(render, redactor, line_limit_bytes(_STDERR), lambda: datetime.now(UTC))
    # Loggers in use hold on to this very list: changed in place, no logger keeps an older redactor.
    processors = structlog.get_config()["processors"] if structlog.is_configured() else []
    processors[:] = [finish]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Stderr,
        cache_logger_on_first_use=is_final,
    )


def _import_structlog() -> ModuleType:
    """Import structlog without rich, which it would load for tracebacks that are not used here.

    Measured: 75 ms and 3.6 MB in place of 350 ms and 9.8 MB in every process. structlog works without rich by design.
    """
    hide = "structlog" not in sys.modules and "rich" not in sys.modules
    if hide:
        sys.modules["rich"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        import structlog
    finally:
        if hide:
            del sys.modules["rich"]
    return structlog


def _adopt_libraries(level: int, room: str) -> None:
    """Let `logging` and `warnings` end here. Libraries are heard from WARNING on, with DEBUG at all levels."""
    bridge = _Bridge(room)
    bridge.setLevel(logging.DEBUG if level <= logging.DEBUG else max(level, logging.WARNING))
    root = logging.getLogger()
    root.handlers[:] = [bridge]
    root.setLevel(bridge.level)
    logging.captureWarnings(True)


class _Bridge(logging.Handler):
    """Takes the records of libraries into this log."""

    def __init__(self, room: str) -> None:
        super().__init__()
        self._logger = get(room)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):
            message = str(record.msg)
        code = {"code": "ERR-HST-004"} if record.levelno >= logging.ERROR else {}
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        more = {"logger": record.name, "message": message, "exc_info": record.exc_info, **code}
        self._logger.log(level, "library.spoke", **more)


def _adopt_failures(room: str) -> None:
    """Let what nobody caught end here too, as one line with its trace."""
    logger = get(room)

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("process.failed", code="ERR-HST-003", error=str(error), exc_info=(kind, error, trace))

    def tell_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            tell(failure.exc_type, failure.exc_value, failure.exc_traceback)

    sys.excepthook = tell
    threading.excepthook = tell_thread


def _format_exception(exc_info: object) -> str:
    """The traceback of `exc_info`: True for the one at hand, an exception, or what `sys.exc_info` gives."""
    error = exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif exc_info and not isinstance(exc_info, BaseException):
        error = sys.exc_info()[1]
    return "".join(traceback.format_exception(error)).rstrip() if isinstance(error, BaseException) else ""


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
