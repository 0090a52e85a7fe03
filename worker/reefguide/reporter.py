"""Hears of the jobs that came from the API: what is to be posted is written down with their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from job_item.job import JobRecord, Status
from job_item.log import get
from worker.journal import Grant, LastWords, Settlement
from worker.output import Output, spool_path
from worker.reefguide.result import LIMIT_BYTES, result_of
from worker.seams import Assignment


@dataclass(frozen=True, slots=True)
class ReefReporter:
    """A reporter and spokesman of the jobs in `grants` (by task id).

    `ended` is told of each job that is over, wherever it came from.
    """

    grants: dict[str, Grant]
    logs: Path
    ended: Callable[[str], None]
    on_failed: Callable[[Grant, Settlement], None]

    def is_mine(self, task_id: str) -> bool:
        """Whether a job came from the API."""
        return task_id in self.grants

    async def announce(self, assignment: Assignment) -> None:
        """The API has no place for it."""

    async def conclude(self, end: Settlement) -> LastWords:
        """What is to be posted; nothing is said of an attempt that another one follows."""
        grant = self.grants[end.task_id]

        def read_output() -> bytes:
            if end.output is not None:
                return end.output
            spool = Output(Path(spool_path(str(self.logs), end.task_id, end.attempt)))
            return spool.tail("stdout", LIMIT_BYTES)

        conclusion = result_of(grant.job_type, end.status, read_output)
        if conclusion.problem is not None:
            get("worker").error(
                "result.misfit", code="ERR-RFG-009", task_id=end.task_id, job_id=grant.job_id, reason=conclusion.problem
            )
        if end.retry_at is None and end.status in (Status.ERROR, Status.TIMEOUT):
            self.on_failed(grant, end)
        return LastWords(0.0, result=conclusion.body)

    def accepted(self, record: JobRecord) -> None:
        """The source knows."""

    def started(self, assignment: Assignment) -> None:
        """The API has no place for it."""

    def output(self, task_id: str) -> None:
        """Is read when the job has ended."""

    def noted(self, task_id: str) -> None:
        """The API has no place for it."""

    def settled(self, assignment: Assignment, end: Settlement, status: Status, details: dict[str, Any]) -> None:  # noqa: ARG002 - given by the seam
        """An attempt has ended: what is to be posted is in the journal."""
        if status.is_final:
            self.ended(assignment.task_id)
