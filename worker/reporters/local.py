"""The reporter that every node has: its log, and those who follow a job through the local API."""

from __future__ import annotations

from typing import Any

from job_item.job import JobRecord, Status
from job_item.log import get
from worker.journal import Settlement
from worker.news import News
from worker.seams import Assignment


class LocalReporter:
    """Writes a line for each end of an attempt, and wakes the followers at every step."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._logger = get("worker").bind()  # bound once: a line for each job has to be cheap

    def accepted(self, record: JobRecord) -> None:
        """The job is in the journal."""
        self._logger.debug("job.accepted", task_id=record.task_id, job_event=record.event)

    def started(self, assignment: Assignment) -> None:
        """An attempt begins."""
        self._logger.debug(
            "job.started", task_id=assignment.task_id, job_event=assignment.event, attempt=assignment.attempt
        )
        self._news.publish(assignment.task_id)

    def output(self, task_id: str) -> None:
        """There is more output."""
        self._news.publish(task_id)

    def noted(self, task_id: str) -> None:
        """A script sent a notification."""
        self._news.publish(task_id)

    def settled(
        self,
        assignment: Assignment,
        end: Settlement,
        status: Status,
        details: dict[str, Any],
    ) -> None:
        """An attempt has ended."""
        task_id, event, attempt = assignment.task_id, assignment.event, assignment.attempt
        name = "job.retried" if status is Status.QUEUED else "job.finished"
        write = self._logger.info if status is Status.FINISH else self._logger.warning
        if assignment.is_small and status is Status.FINISH:
            write = self._logger.debug  # `jobs.finished` tells of all of them
        took_s = round(max(0.0, end.finished_at - assignment.started_at), 3)  # as the record of the job has it
        write(name, task_id=task_id, job_event=event, attempt=attempt, status=str(status), took_s=took_s, **details)
        self._news.publish(task_id)
