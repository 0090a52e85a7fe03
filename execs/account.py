"""What people are told of an exec: its state for the API, in the words of `GET /execs`. Pure."""

from __future__ import annotations

import signal

from execs.policy import Life
from execs.tables import Stage
from job_item.execspec import Exec
from job_item.keeper.command import Ended
from job_item.link import ExecState

_SHOWN = {
    Stage.WAITING: "waiting",
    Stage.STARTING: "starting",
    Stage.BACKOFF: "backoff",
    Stage.FAILED: "failed",
    Stage.STOPPED: "stopped",
    Stage.DONE: "stopped",
    Stage.GONE: "stopped",
}
"""All other stages have a run that goes on or is about to end."""
REASON_LENGTH = 200


def shown(stage: Stage) -> str:
    """The word for a stage that is told to others."""
    return _SHOWN.get(stage, "running")


def describe(spec: Exec, life: Life, unmet: str | None, since: float) -> ExecState:
    """The state of an exec; `unmet` says what it waits for, `since` is seconds since the epoch."""
    reason = _reason(life, unmet)
    return ExecState(
        key=spec.key,
        name=spec.name,
        state=shown(life.stage),
        pid=life.pid,
        attempts=life.tries,
        exit_code=life.exit_code,
        since=since,
        ready=life.is_ready and life.stage is Stage.RUNNING,
        health=life.health,
        reason=reason[:REASON_LENGTH] if reason else None,
    )


def _reason(life: Life, unmet: str | None) -> str | None:
    match life.stage:
        case Stage.WAITING:
            return unmet
        case Stage.BACKOFF:
            return f"{life.why}; try {life.tries + 1} of {life.rules.attempts} follows"
        case Stage.FAILED:
            tries = f"given up after {life.tries} of {life.rules.attempts} tries: " if life.tries > 1 else ""
            return f"{tries}{life.why}"
        case Stage.STOPPED:
            return "stopped by an order"
        case Stage.DONE:
            return life.why
        case Stage.HALTING | Stage.LEAVING:
            return "is being stopped"
        case Stage.TURNING:
            return "is being restarted"
        case _:
            return life.why or None


def how_it_ended(ended: Ended) -> str:
    """The end of a run in words."""
    if ended.end == "failed":
        return f"could not be started: {ended.reason}"
    if ended.signal is not None:
        return f"ended by {signal_name(ended.signal)}"
    if ended.exit_code is not None:
        return f"ended with exit code {ended.exit_code}"
    return "lost: the process that watched over it was killed" if ended.end == "lost" else "was killed"


def signal_name(number: int) -> str:
    """The name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
