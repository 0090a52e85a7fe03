"""What follows an attempt that did not end well: pure rules (protocol job-item.md, section 9.1, L3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from job_item.job import Status
from job_item.settings import Job

Cause = Literal["error", "timeout", "lost"]
"""Why an attempt did not end well; lost: whoever ran it is gone."""


class Follow(Enum):
    """What follows an attempt."""

    AGAIN = "again"
    """Another attempt."""
    END = "end"
    """The job has ended as the attempt has."""
    DEAD = "dead"
    """The same, and it goes to the dead letters: it was to be tried again, and there are no attempts left."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a job spec says of another try; `attempts` is its runs in all, `on` what they are for."""

    on_lost: Literal["rerun", "error"]
    attempts: int
    on: Collection[Cause] = ("error", "timeout", "lost")

    @staticmethod
    def of(spec: Job) -> Rules:
        """The rules of a job spec."""
        return Rules(spec.on_lost, spec.retries.attempts, spec.retries.on)


@dataclass(frozen=True, slots=True)
class Lost:
    """A job that the journal has as running although the worker that ran it is gone.

    `attempt` counts from the job's last coming to life on. `is_leased`: a broker has it too, and gives it to somebody.
    """

    task_id: str
    event: str
    attempt: int
    fence: int
    wish: Status | None
    """The end that it should come to, where somebody has asked for its end."""
    spent: int = 0
    """Attempts before it was taken out of the dead letters."""
    is_leased: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """The status of the lost attempt, why, and what follows."""

    status: Status
    error_code: str
    error: str
    follow: Follow = Follow.END


def follow(cause: Cause, rules: Rules, attempt: int) -> Follow:
    """Decide what follows the attempt with this number.

    Attempts are bounded by `attempts`; but a job that was lost runs at least once more, as it may have done nothing to
    deserve it.
    """
    if cause not in rules.on or (cause == "lost" and rules.on_lost != "rerun"):
        return Follow.END
    allowed = max(rules.attempts, 2) if cause == "lost" else rules.attempts
    if attempt < allowed:
        return Follow.AGAIN
    return Follow.DEAD if allowed > 1 else Follow.END


def decide(lost: Lost, rules: Rules | None) -> Fate:
    """Decide what becomes of a lost job; `rules` are those of its event, None when it is not configured any more."""
    if lost.wish is not None:
        return Fate(lost.wish, "ERR-RUN-020", "The worker died while the job was being ended on request.")
    if rules is None:
        return Fate(Status.ERROR, "ERR-JOB-001", f"The worker died, and {lost.event!r} is not configured any more.")
    follows = follow("lost", rules, lost.attempt - lost.spent)
    return Fate(Status.ERROR, "ERR-RUN-020", "The worker died while the job ran.", follows)
