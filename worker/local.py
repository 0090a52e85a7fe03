"""The desk of the embedded queue: takes jobs from the local API into the journal, and answers for them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from job_item import payload, trace
from job_item.errors import BadMessage, Unavailable
from job_item.job import JobRecord, Status, is_task_id, new_task_id
from job_item.settings import Job
from worker.about import About
from worker.dead import DeadLetters
from worker.desk import Log, NewJob, Note, Outgoing, Readiness, Watch
from worker.intake import Intake
from worker.letters import Letter
from worker.metrics.meter import Meter
from worker.metrics.observation import Jobs, Observation
from worker.news import News
from worker.nodedesk import NodeDesk
from worker.output import Output, spool_path
from worker.share import Shares
from worker.stopper import Stopper


class LocalDesk(NodeDesk):
    """What the API asks of the job child (`worker.desk.Desk`), answered from the journal and the dispatcher."""

    def __init__(
        self,
        about: About,
        intake: Intake,
        news: News,
        logs: Path,
        shares: Shares,
        meter: Meter,
    ) -> None:
        super().__init__(about)
        self.project = about.start.settings.project
        self.base_url = about.start.base_url
        self._intake = intake
        self._board = intake.board
        self._journal = intake.journal
        self._reporter = intake.reporter
        self._news = news
        self._logs = logs
        self._shares = shares
        self._meter = meter
        self.stopper = Stopper(intake.journal, intake.dispatcher, news)
        self.letters = DeadLetters(intake)
        self._entering = 0
        self._draining = False
        self._dispatching = False
        self._retiring = False

    async def create(self, request: NewJob) -> JobRecord:
        """Accept a job, durably."""
        event, task_id = request.event, request.task_id or new_task_id()
        self._refuse_unless_acceptable(request, task_id)
        body = payload.encode(request.data)
        if (refusal := self._refusal()) is not None:
            known = self._journal.record(task_id)
            if known is None:
                raise refusal
            return self._intake.same(known, event, body)
        self._entering += 1
        try:
            kept = trace.keep(request.trace)
            created, record = await self._journal.accept(task_id, event, "local", body, time.time(), kept)
        finally:
            self._entering -= 1
        if not created:
            return self._intake.same(record, event, body)
        self._intake.begin(record)
        return record

    def _refuse_unless_acceptable(self, request: NewJob, task_id: str) -> None:
        if request.app_id is not None and request.app_id != self.project:
            raise BadMessage("ERR-JOB-002", f"This node serves project {self.project!r}, not {request.app_id!r}.")
        specs = self._board.standing.specs
        if request.event not in specs:
            raise BadMessage("ERR-JOB-001", f"No job is configured for event {request.event!r}.", _known(specs))
        if not is_task_id(task_id):
            raise BadMessage("ERR-JOB-003", f"{task_id!r} is not acceptable as a task id.")

    def _refusal(self) -> Unavailable | None:
        """Why no job is taken now; those that are on their way into the journal count as queued."""
        if self._draining:
            return Unavailable("ERR-JOB-005", "The node is stopping and takes no new jobs.")
        return self._intake.fullness(self._entering)

    def job(self, task_id: str) -> JobRecord | None:
        """The record of one job, attempts included."""
        return self._journal.record(task_id)

    def jobs(
        self, *, status: Status | None = None, event: str | None = None, before: str | None = None, limit: int = 100
    ) -> Sequence[JobRecord]:
        """The newest jobs first."""
        return self._journal.records(status=status, event=event, before=before, limit=limit)

    async def cancel(self, task_id: str, wish: Status = Status.TERMINATE) -> JobRecord | None:
        """Ask for the end of a job at whatever stage it is."""
        return await self.stopper.stop(task_id, wish)

    async def notify(self, task_id: str, msg: str) -> bool:
        """Keep a notification with its job."""
        known = await self._journal.note(task_id, time.time(), msg)
        if known:
            self._reporter.noted(task_id)
        return known

    def notes(self, task_id: str, after: int = 0) -> Sequence[Note]:
        """The notifications of one job whose number is above `after`, oldest first."""
        return self._journal.notes(task_id, after)

    async def share(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:
        """Add a text to those under a key of a task."""
        await self._shares.add(task_id, key, data, ttl_s)

    def shared(self, task_id: str, key: str) -> Sequence[str]:
        """The texts under a key of a task, oldest first."""
        return self._shares.texts(task_id, key)

    def outgoing(self) -> Outgoing | None:
        """Nobody: there is no Job Manager."""
        return None

    async def dead(self, limit: int) -> Sequence[Letter]:
        """The dead letters."""
        return await self.letters.list(limit)

    async def retry_dead(self, task_id: str) -> bool:
        """Have a dead letter tried again."""
        return await self.letters.retry(task_id)

    async def drop_dead(self, task_id: str) -> bool:
        """Let a dead letter go for good."""
        return await self.letters.drop(task_id)

    def log(self, task_id: str, attempt: int | None = None) -> Log | None:
        """The output of an attempt, the last one where none is named."""
        record = self._journal.record(task_id)
        number = record.attempt if record is not None and attempt is None else attempt
        if record is None or number is None or not 0 <= number <= record.attempt:
            return None
        return Output(Path(spool_path(str(self._logs), task_id, number)))

    def watch(self, task_id: str) -> AbstractContextManager[Watch]:
        """Follow one job."""
        return self._news.follow(task_id)

    def counts(self) -> dict[Status, int]:
        """How many jobs the journal has in each status."""
        return self._journal.counts()

    def slots(self) -> int:
        """How many jobs may run at once, as the settings in force have it."""
        return self._board.standing.settings.limits.concurrency

    def readiness(self) -> Readiness:
        """Whether jobs are taken and run."""
        reasons = []
        if self._draining:
            reasons.append("the node is stopping")
        if not self._dispatching:
            reasons.append("what is left of an earlier process is still being ended")
        if self._journal.trouble:
            reasons.append(self._journal.trouble)
        if self._retiring and not reasons:
            return Readiness(True, ("jobs are taken, and run by a new process as soon as the running ones have ended",))
        return Readiness(not reasons, tuple(reasons))

    async def observe(self) -> Observation:
        """What metrics show."""
        return await self._about.observe(self.health(), is_ready=self.readiness().ready, jobs=self._observe_jobs())

    def _observe_jobs(self) -> Jobs:
        return Jobs(
            counts=self._journal.counts_by_event(),
            steps=self._journal.steps(),
            oldest=self._journal.oldest_waiting(),
            log_bytes=self._journal.log_bytes,
            slots=self.slots(),
            queue_limit=self._board.standing.settings.limits.queue,
            events=frozenset(self._board.standing.specs),
            meter=self._meter,
        )

    def open(self) -> None:
        """Jobs are started from now on."""
        self._dispatching = True

    def retire(self) -> None:
        """Jobs are accepted for a successor from now on, and not started."""
        self._retiring = self._dispatching = True

    def close(self) -> None:
        """No job is accepted from now on."""
        self._draining = True


def _known(specs: Mapping[str, Job]) -> str:
    return (
        "Use one of: " + ", ".join(sorted(specs)[:20]) + "." if specs else "Add a job to `jobs` in the configuration."
    )
