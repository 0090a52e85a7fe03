"""What becomes of a job that was running when its worker died: pure rules (protocol job-item.md, section 9.1, L3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from job_item.job import Status


@dataclass(frozen=True, slots=True)
class Rules:
    """What a job spec says of lost attempts; `attempts` is its runs in all."""

    on_lost: Literal["rerun", "error"]
    attempts: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A job that the journal has as running although the worker that ran it is gone."""

    task_id: str
    event: str
    attempt: int
    fence: int
    wish: Status | None
    """The end that it should come to, where somebody has asked for its end."""


@dataclass(frozen=True, slots=True)
class Fate:
    """The status of the lost attempt, why, and whether another attempt follows."""

    status: Status
    error_code: str
    error: str
    rerun: bool = False


def may_rerun(on_lost: str, attempts: int, attempt: int) -> bool:
    """Tell whether a job whose attempt number `attempt` was lost runs again.

    It does within `attempts`, its runs in all, but at least once more.
    """
    return on_lost == "rerun" and attempt < max(attempts, 2)


def decide(lost: Lost, rules: Rules | None) -> Fate:
    """Decide what becomes of a lost job; `rules` are those of its event, None when it is not configured any more."""
    if lost.wish is not None:
        return Fate(lost.wish, "ERR-RUN-020", "The worker died while the job was being ended on request.")
    if rules is None:
        return Fate(Status.ERROR, "ERR-JOB-001", f"The worker died, and {lost.event!r} is not configured any more.")
    rerun = may_rerun(rules.on_lost, rules.attempts, lost.attempt)
    return Fate(Status.ERROR, "ERR-RUN-020", "The worker died while the job ran.", rerun)
