"""`save`: what comes through a pipe is shown as it comes and then sent as notifications of the task (protocol 1.3).

It runs once per line of many a script, so it loads what it needs when it needs it: nothing but this for the showing,
`requests` when there is something to send.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from supervisor.capture import Capture
from supervisor.echo import Echo
from supervisor.interrupt import Interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Result = TypeVar("Result")

LIMIT_BYTES = 64 << 20
"""What is sent of one input at most: as much as a job's output that is kept, and fewer parts than notes are kept."""
GRACE_S = 4.0
"""What is left for sending after a signal: a job has 5 s (`kill_grace`) unless its settings say otherwise."""
ERRORS_OF_JOB = "ERROR_MESSAGE_STDERR"
"""Under which a node keeps what a job wrote to its standard error (protocol 1.3 and 4.7)."""
_SHARED_PATIENCE_S = 5.0
_NEEDED = ("JOB_ITEM_TASK_ID", "JOB_ITEM_MSG_NOTIF_HOST")
_STATUS_CHARACTERS = 64


def save(status: str | None = None, limit_bytes: int = LIMIT_BYTES) -> int:
    """Show and send standard input; gives the exit code.

    `status`: the exit code of the producer, or the file that has it when the input ends. It is appended to what is
    sent and, if it is not 0, becomes the exit code.
    """
    interrupt = Interrupt(GRACE_S)
    capture = Capture(limit_bytes)
    failures: list[Exception] = []
    has_place = all(os.environ.get(name) for name in _NEEDED)
    if not has_place:
        _tell(_judge_place, failures)
    echo = Echo(capture.add if has_place else None, interrupt.descriptor)
    _tell(partial(interrupt.limit, echo.run), failures)
    for failure in filter(None, (echo.failure, capture.failure)):
        _tell(partial(_judge_loss, failure), failures)
    code = _tell(partial(interrupt.limit, partial(_read_status, status)), failures) if status is not None else None
    if has_place:
        _tell(partial(interrupt.limit, partial(_send, capture, code)), failures)
    interrupt.end()
    capture.close()
    if interrupt.number is not None:
        return 128 + interrupt.number
    return code or _worst(failures)


def _send(capture: Capture, code: int | None) -> None:
    """Send what was kept, and what belongs to it. Raises as `job_item.notify`."""
    from job_item.sdk.surroundings import notification_url, shared_url

    url, shared = notification_url(os.environ), shared_url(os.environ, ERRORS_OF_JOB)
    ending = f"[exit code {code}]\n" if code is not None else ""
    count = 0
    if capture.size_bytes or shared or ending:
        from job_item.sdk.courier import Courier, Patience
        from job_item.sdk.notification import send_text
        from job_item.sdk.shared import read_shared

        errors = read_shared(Courier(Patience(1, _SHARED_PATIENCE_S, _SHARED_PATIENCE_S)), shared) if shared else ""
        count = send_text(Courier(), url, _text(capture, errors, ending))
    if count == 0:
        print("[nothing came in, so no notification was sent]", file=sys.stderr)
    elif sys.stderr.isatty():
        sent = "1 notification" if count == 1 else f"{count} notifications"
        print(f"[sent to task {os.environ['JOB_ITEM_TASK_ID']}: {sent}]", file=sys.stderr)


def _text(capture: Capture, *more: str) -> Callable[[], Iterable[bytes]]:
    def read() -> Iterable[bytes]:
        yield from capture.read()
        yield from (text.encode("utf-8", "replace") for text in more)

    return read


def _judge_place() -> None:
    """Refuse to send where it is not said where to. Raises `NodeError` (ERR-REP-001)."""
    from job_item.sdk.surroundings import notification_url

    notification_url(os.environ)


def _judge_loss(failure: OSError) -> None:
    from job_item.errors import NodeError

    raise NodeError("ERR-REP-012", f"Not all of what came in could be shown or kept: {failure.strerror}.")


def _read_status(status: str) -> int:
    """Read the exit code that was given as a number or as a file. Raises `NodeError` (ERR-REP-011)."""
    from job_item.errors import NodeError

    try:
        code = int(status if status.isdecimal() else _beginning_of(status))
        if 0 <= code <= 255:
            return code
        reason = f"{code} is none"
    except OSError as error:
        reason = f"{status}: {error.strerror}"
    except ValueError:
        reason = f"there is no number in {status}"
    raise NodeError("ERR-REP-011", f"The exit code of the producer cannot be read: {reason}.")


def _beginning_of(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 - pathlib takes longer to load
        return file.read(_STATUS_CHARACTERS)


def _tell(act: Callable[[], Result], failures: list[Exception]) -> Result | None:
    """Do something; a failure is told and kept, and does not hinder what comes next."""
    try:
        return act()
    except Exception as error:
        from supervisor.cli.failure import tell

        tell(error)
        failures.append(error)
        return None


def _worst(failures: list[Exception]) -> int:
    if not failures:
        return 0
    from supervisor.cli.failure import exit_code_of

    return max(map(exit_code_of, failures))
