"""The log: what a process of the node says of itself, on standard error.

Every line has time (RFC 3339, UTC), level, room and event (past tense, dotted), errors a `code` of the register, and
lines about a job or exec its `task_id` or `exec`. A line is one `write`, so that the lines of several processes do not
mix. Everything passes the redactor. Libraries that use `logging` or `warnings` take the same way. The parent writes the
same lines with `job_item.plainlog`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from job_item.logsink import Finish, Stderr, Wish, choose_level
from job_item.redact import Redactor
from job_item.without import without

with without("rich"):  # for tracebacks that are not used here: 75 ms and 3.6 MB in place of 350 ms and 9.8 MB
    import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


def configure(settings: Wish, *, room: str, secrets: Iterable[str], environ: Mapping[str, str]) -> None:
    """Set this process's log up; a later call replaces the earlier one.

    Parameters: `room`, for lines of libraries; `secrets`, values that no line may show; `environ`, for LOG_LEVEL, which
    wins over `settings.level`, and NO_COLOR.
    """
    level = choose_level(settings.level, environ)
    _install(level, Finish.of(settings.format, Redactor(secrets), environ), is_final=True)
    _adopt_libraries(level, room)
    _adopt_failures(room)


def get(room: str) -> FilteringBoundLogger:
    """The logger of a room: `get("worker").info("job.finished", task_id=...)`.

    Before `configure`, lines are written with the defaults. A later `configure` holds for all loggers, also for those
    that are in use already.
    """
    if not structlog.is_configured():
        _install(logging.INFO, Finish.of("auto", Redactor(), os.environ), is_final=False)
    logger: FilteringBoundLogger = structlog.get_logger(room=room)
    return logger


def _install(level: int, finish: Finish, is_final: bool) -> None:
    # Loggers in use hold on to this very list and class: changed in place, no logger keeps an older redactor or level.
    known = structlog.get_config() if structlog.is_configured() else {"processors": [], "wrapper_class": None}
    processors = known["processors"]
    processors[:] = [finish]
    structlog.configure(
        processors=processors,
        wrapper_class=_set_level(known["wrapper_class"], level),
        logger_factory=Stderr,
        cache_logger_on_first_use=is_final,
    )


def _set_level(loggers: type | None, level: int) -> type:
    """Let the class of all loggers write lines from `level` on; it is made where there is none yet."""
    made = structlog.make_filtering_bound_logger(level)  # shared by all that ask for this level: not to be changed
    if loggers is None:
        return type("Logger", (made,), {})
    for name, member in vars(made).items():
        if not name.startswith("__"):
            setattr(loggers, name, member)
    return loggers


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
