"""Several reporters as one: each hears of every step, in the order in which they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from job_item.job import JobRecord, Status
from worker.journal import Settlement
from worker.seams import Assignment, Reporter


class AllReporters:
    """Passes each step on."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def accepted(self, record: JobRecord) -> None:
        """The job is in the journal."""
        for reporter in self._reporters:
            reporter.accepted(record)

    def started(self, assignment: Assignment) -> None:
        """An attempt begins."""
        for reporter in self._reporters:
            reporter.started(assignment)

    def output(self, task_id: str) -> None:
        """There is more output."""
        for reporter in self._reporters:
            reporter.output(task_id)

    def noted(self, task_id: str) -> None:
        """A script sent a notification."""
        for reporter in self._reporters:
            reporter.noted(task_id)

    def settled(self, assignment: Assignment, end: Settlement, status: Status, details: dict[str, Any]) -> None:
        """An attempt has ended."""
        for reporter in self._reporters:
            reporter.settled(assignment, end, status, details)
