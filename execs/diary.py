"""The log lines of an exec's life."""

from __future__ import annotations

from collections.abc import Iterable

from execs.account import signal_name
from execs.policy import BecameReady, Ended, Event, Life, Started
from execs.tables import Stage
from job_item import log
from job_item.execspec import Exec
from job_item.link import ExecState

_ASKED = frozenset({Stage.HALTING, Stage.TURNING, Stage.LEAVING})
_ASKED_WORDS = {Stage.HALTING: "exec.stop_asked", Stage.TURNING: "exec.restart_asked"}


def dump(states: Iterable[ExecState]) -> None:
    """Write down what each exec is at: the answer to SIGUSR1."""
    logger = log.get("execs")
    for state in states:
        told = {"state": state.state, "exec_pid": state.pid, "attempts": state.attempts, "health": state.health}
        logger.info("exec.dumped", exec=state.key, ready=state.ready, exit_code=state.exit_code, **told)


def tell(spec: Exec, before: Life, after: Life, event: Event) -> None:
    """Log what an event has changed."""
    logger = log.get("execs")
    match event:
        case Started(pid) if before.pid != after.pid:
            logger.info("exec.started", exec=spec.key, pid=pid, attempt=after.tries)
        case BecameReady() if after.is_ready and not before.is_ready:
            logger.info("exec.ready", exec=spec.key, pid=after.pid)
        case Ended(why=why) if before.has_run:
            _tell_end(spec, before, after, event.exit_code, why)
    if after.health != before.health and after.health == "healthy":
        logger.info("exec.healthy", exec=spec.key, pid=after.pid)
    if after.stage is not before.stage and after.stage in _ASKED_WORDS:
        logger.info(_ASKED_WORDS[after.stage], exec=spec.key, pid=after.pid, signal=signal_name(spec.stop_number))
    if after.stage is Stage.FAILING and before.stage is not Stage.FAILING:
        logger.error("exec.unhealthy", code="ERR-EXE-013", exec=spec.key, pid=after.pid, reason=after.why)


def _tell_end(spec: Exec, before: Life, after: Life, exit_code: int | None, why: str) -> None:
    logger = log.get("execs")
    if before.stage in _ASKED or exit_code == 0:
        logger.info("exec.ended", exec=spec.key, pid=before.pid, reason=why)
    elif before.pid is None:
        logger.error("exec.failed", code="ERR-EXE-001", exec=spec.key, reason=why)
    else:
        logger.warning("exec.failed", code="ERR-EXE-002", exec=spec.key, pid=before.pid, reason=why)
    if after.stage is Stage.BACKOFF:
        logger.info("exec.delayed", exec=spec.key, pause_s=round(after.pause_s, 3), attempt=after.tries + 1)
    if after.stage is Stage.FAILED:
        logger.error("exec.given_up", code="ERR-EXE-003", exec=spec.key, attempts=after.tries, reason=after.why)
