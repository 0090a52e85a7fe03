"""Where jobs come in, whoever brings them: what is refused, what is the same job again, what a new one sets going."""

from __future__ import annotations

from dataclasses import dataclass

from job_item.errors import BadMessage, Unavailable
from job_item.job import JobRecord
from worker.dispatch import Dispatcher
from worker.journal import Journal
from worker.seams import Reporter
from worker.standing import Board


@dataclass(frozen=True, slots=True)
class Intake:
    """What all that takes jobs needs of the rest of the job child."""

    journal: Journal
    dispatcher: Dispatcher
    board: Board
    reporter: Reporter

    def fullness(self, entering: int = 0) -> Unavailable | None:
        """Why the queue takes no more; `entering` jobs are on their way into the journal."""
        limit = self.board.standing.settings.limits.queue
        if self.journal.queued + entering < limit:
            return None
        return Unavailable("ERR-JOB-004", f"The queue is full ({limit} jobs).")

    def same(self, known: JobRecord, event: str, body: bytes) -> JobRecord:
        """The job that is here already, if it is the one that is meant.

        Raises BadMessage (ERR-JOB-009) for another one.
        """
        if known.event != event or self.journal.body(known.task_id) not in (body, None):  # None: dropped just now
            raise BadMessage("ERR-JOB-009", f"The task id {known.task_id} belongs to a job with another event or data.")
        return known

    def begin(self, record: JobRecord) -> None:
        """A job has come: tell it, and let it have its turn."""
        self.reporter.accepted(record)
        self.dispatcher.offer(record.event)

    def resume(self, record: JobRecord) -> None:
        """A job that had ended for this node has come again."""
        self.reporter.accepted(record)
        self.dispatcher.offer_again(record.event, record.task_id)
