"""The seams of the job child: what runs a job, and who hears of it. Sources come to the desk (`worker.desk`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from job_item.job import JobRecord, Status
from job_item.settings import Job
from job_item.trace import Trace
from worker.journal import LastWords, Settlement
from worker.outcome import Outcome


class Assignment(NamedTuple):
    """One attempt that is to be run: claimed in the journal, its number and fence are its own."""

    task_id: str
    event: str
    attempt: int
    fence: int
    body: bytes
    """The canonical JSON of the data, as the task file gets it."""
    spec: Job
    started_at: float = 0.0
    due_at: float = 0.0
    """When it could have been started at the earliest; both in seconds since the epoch."""
    trace: Trace | None = None
    """What came with the job."""
    spent: int = 0
    """Attempts before the job came back from the dead letters."""
    is_small: bool = False
    """Whether it is one of many that are told of together."""


def given_context(assignment: Assignment) -> Trace | None:
    """The trace that came with the job."""
    return assignment.trace


class Performance(Protocol):
    """An attempt that runs."""

    async def outcome(self) -> Outcome:
        """What became of it. The tree of processes is gone when this returns.

        Raises Unavailable when it was never begun and can be tried again right away.
        """

    def stop(self, how: str, grace_s: float) -> None:
        """End it: `how` is the end that its outcome will carry; after `grace_s` seconds it is killed (0 = at once)."""


class Runner(Protocol):
    """Runs attempts of one kind: a shell command or argument list now, typed handlers later."""

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> Performance:
        """Start an attempt. `on_output` is called, bounded in rate, when there is more output.

        Raises JobFailure when it cannot be run as asked; Unavailable when it can be tried again right away.
        """

    def clear(self, task_id: str, spec: Job | None) -> None:
        """Take away what a lost attempt may have left behind. `spec` is None when it is not configured any more."""


class Spokesman(Protocol):
    """Speaks of jobs to those who are not on this node."""

    async def announce(self, assignment: Assignment) -> None:
        """Before an attempt begins. Takes a bounded time, and does not raise."""

    async def conclude(self, end: Settlement) -> LastWords | None:
        """What is to be said of the end of an attempt, if anything; it is written down together with it."""


class Lessor(Protocol):
    """Knows which jobs are on loan from a broker, and whether they still are this node's."""

    def is_lost(self, task_id: str) -> bool:
        """Whether somebody else has the job by now, or is to have it: its attempt does not count."""

    def is_leaving(self, task_id: str) -> bool:
        """Whether this node gives the job up by itself, which is no fault of the job."""

    def settled(self, task_id: str, status: Status, *, is_dead: bool) -> None:
        """The journal has the end of an attempt; `status` is the job's."""


class Reporter(Protocol):
    """Hears of each step of a job: the local log and followers now, brokers and a job API later."""

    def accepted(self, record: JobRecord) -> None:
        """The job is in the journal."""

    def started(self, assignment: Assignment) -> None:
        """An attempt begins."""

    def output(self, task_id: str) -> None:
        """There is more output."""

    def noted(self, task_id: str) -> None:
        """A script sent a notification."""

    def settled(self, assignment: Assignment, end: Settlement, status: Status, details: dict[str, Any]) -> None:
        """An attempt has ended and the journal has it; `status` is the job's: QUEUED when another attempt follows."""
