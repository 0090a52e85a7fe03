"""What became of a job, as the exit code and the last line of a command that waited for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXIT_TIMEOUT = 124
"""As `timeout` of coreutils has it."""
EXIT_TERMINATE = 128 + 15
EXIT_DETACHED = 128 + 2


def outcome_exit(job: Mapping[str, Any]) -> int:
    """Map an ended job to an exit code.

    0 for `finish`, 124 for `timeout`, 143 for `terminate`; for `error` what a shell would give: the exit code of the
    command, 128 + n where signal n ended it, else 1 (it never began, or its status rule said error at exit code 0).
    """
    from job_item.job import Status

    match Status(job["status"]):
        case Status.FINISH:
            return 0
        case Status.TIMEOUT:
            return EXIT_TIMEOUT
        case Status.TERMINATE:
            return EXIT_TERMINATE
    exit_code, signal = job.get("exit_code"), last_attempt(job).get("signal")
    if exit_code:
        return int(exit_code) if 0 < exit_code < 256 else 1
    return 128 + int(signal) if signal else 1


def last_attempt(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of the newest attempt; empty where none has begun."""
    attempts = job.get("attempts") or [{}]
    newest: Mapping[str, Any] = attempts[-1]
    return newest
