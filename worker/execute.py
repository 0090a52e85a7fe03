"""One attempt from its claim to its settlement, told as it happens: announce, perform, settle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from job_item.errors import JobFailure, Unavailable
from job_item.job import Status
from job_item.log import get
from job_item.policy import Backoff
from worker.journal import Journal, Settlement
from worker.outcome import Outcome, Verdict, judge
from worker.recovery import Cause, Follow, Rules, follow
from worker.seams import Assignment, Lessor, Performance, Reporter, Runner, Spokesman

_CAUSES: Mapping[Status, Cause] = MappingProxyType({Status.ERROR: "error", Status.TIMEOUT: "timeout"})
START_TRIES, START_PAUSE_S = 200, 0.05
SETTLE_PAUSE_S = 1.0
TIMED_OUT_ON_REQUEST = "The job was ended on request, as timed out."


@dataclass(slots=True)
class Execution:
    """A task that has a slot. A request to stop it may come before, while and after it runs; the first one counts."""

    task_id: str
    stop_how: str | None = None
    performance: Performance | None = None
    grace_s: float = 0.0
    is_due: bool = False
    """It stood in the queue once more meanwhile, and was passed over."""

    def stop(self, how: str, grace_s: float | None = None) -> None:
        """End the attempt, or keep it from starting. `grace_s` None means the job's own `kill_grace`."""
        self.stop_how = self.stop_how or how
        if self.performance is not None:
            self.performance.stop(how, self.grace_s if grace_s is None else grace_s)

    def wants(self, how: str) -> bool:
        """Tell whether this is the end that was asked for."""
        return self.stop_how == how


class Executor:
    """Runs assignments and settles them in the journal."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        reporter: Reporter,
        job_ended: Callable[[], None],
        spokesman: Spokesman | None = None,
        lessor: Lessor | None = None,
    ) -> None:
        self._spokesman = spokesman
        self._lessor = lessor
        self._journal = journal
        self._runner = runner
        self._reporter = reporter
        self._job_ended = job_ended
        self._logger = get("worker")

    async def perform(self, execution: Execution, assignment: Assignment) -> Outcome:
        """Run one attempt until its last process is gone."""
        if execution.stop_how:
            return stopped(execution.stop_how)
        if self._lessor is not None and self._lessor.is_lost(assignment.task_id):
            return stopped("terminate")
        self._reporter.started(assignment)
        if self._spokesman is not None:
            await self._spokesman.announce(assignment)
        try:
            outcome = await self._run(execution, assignment)
        except JobFailure as failure:
            return Outcome("failed", error_code=failure.code, error=failure.message)
        if outcome.end == "lost":
            self._runner.clear(assignment.task_id, assignment.spec)
        return timed_out_as_asked(outcome, execution)

    async def _run(self, execution: Execution, assignment: Assignment) -> Outcome:
        """Start, and try again for a while when what starts jobs is being replaced or is out of processes."""
        execution.grace_s = assignment.spec.kill_grace
        reason = Unavailable("ERR-RUN-006", "The process that starts jobs did not come back.")
        for _ in range(START_TRIES):
            if execution.stop_how:
                return stopped(execution.stop_how)
            try:
                execution.performance = self._runner.start(
                    assignment, lambda: self._reporter.output(assignment.task_id)
                )
                return await execution.performance.outcome()
            except Unavailable as error:
                reason = error
                await asyncio.sleep(START_PAUSE_S)
        return Outcome("failed", error_code=reason.code, error=reason.message, may_pass=True)

    async def settle(self, assignment: Assignment, outcome: Outcome, ended_at: float) -> float | None:
        """Give the attempt, which ended at `ended_at` (seconds since the epoch), its status, durably, and tell it.

        Returns after how many seconds the next attempt may start, None when there is none. A journal that cannot take
        it (disk full) is asked again until it can: what a job did is not forgotten.
        """
        verdict = judge(outcome, assignment.spec.status)
        settlement = settlement_of(assignment, outcome, verdict, ended_at)
        if self._lessor is not None and self._lessor.is_lost(assignment.task_id):
            settlement = _left(settlement, is_excused=self._lessor.is_leaving(assignment.task_id))
        words = None if self._spokesman is None else await self._spokesman.conclude(settlement)
        is_told = False
        while True:
            try:
                follows = await self._journal.settle(settlement, words)
                break
            except Unavailable as error:
                if not is_told:
                    is_told = True  # a full disk needs no log that grows
                    told = {"task_id": assignment.task_id, "code": error.code, "reason": error.message}
                    self._logger.error("job.unsettled", **told)
                await asyncio.sleep(SETTLE_PAUSE_S)
        if follows is None:
            return None  # the attempt is not the running one any more: its end does not count
        self._job_ended()
        details = details_of(outcome, verdict)
        self._reporter.settled(assignment, settlement, follows, details)
        if self._lessor is not None:
            self._lessor.settled(assignment.task_id, follows, is_dead=settlement.is_dead)
        return settlement.retry_at - ended_at if follows is Status.QUEUED and settlement.retry_at is not None else None


def timed_out_as_asked(outcome: Outcome, execution: Execution) -> Outcome:
    """The outcome, which says so where somebody asked for the time-out."""
    if outcome.end == "timeout" and execution.wants("timeout"):
        return outcome._replace(error=TIMED_OUT_ON_REQUEST)
    return outcome


def stopped(how: str) -> Outcome:
    """The outcome of an attempt that was stopped before anything of it was started."""
    return Outcome("timeout", error=TIMED_OUT_ON_REQUEST) if how == "timeout" else Outcome("terminate")


def settlement_of(assignment: Assignment, outcome: Outcome, verdict: Verdict, ended_at: float) -> Settlement:
    """The end of an attempt as it goes into the journal."""
    follows = _follows(assignment, outcome, verdict)
    return Settlement(
        task_id=assignment.task_id,
        attempt=assignment.attempt,
        fence=assignment.fence,
        status=verdict.status,
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        error_code=verdict.error_code,
        error=verdict.error,
        usage=outcome.usage,
        finished_at=ended_at,
        retry_at=ended_at + _pause_s(assignment, outcome) if follows is Follow.AGAIN else None,
        is_dead=follows is Follow.DEAD,
        output=outcome.output,
    )


def _left(end: Settlement, *, is_excused: bool) -> Settlement:
    """The end of an attempt that does not count, as the job was lost to this node meanwhile."""
    return end._replace(
        status=Status.ERROR,
        error_code="ERR-DLV-001",
        error="The job was not this node's any more: another one runs it, or this one again.",
        retry_at=None,
        is_dead=False,
        is_left=True,
        is_excused=is_excused,
    )


def _follows(assignment: Assignment, outcome: Outcome, verdict: Verdict) -> Follow:
    """What follows the attempt.

    What could not even be started (no such program, a file in the way) does not get better by itself, unless it was for
    want of processes.
    """
    if (outcome.end == "failed" and not outcome.may_pass) or verdict.status not in _CAUSES:
        return Follow.END
    cause = "lost" if outcome.end == "lost" else _CAUSES[verdict.status]
    return follow(cause, Rules.of(assignment.spec), assignment.attempt - assignment.spent)


def _pause_s(assignment: Assignment, outcome: Outcome) -> float:
    """How long the next attempt waits: not at all where the last one was lost."""
    if outcome.end == "lost":
        return 0.0
    retries = assignment.spec.retries
    backoff = Backoff(retries.backoff, 2.0, retries.backoff_max, jitter=0.1)
    return backoff.delay_s(assignment.attempt - assignment.spent, random.random())  # noqa: S311 - chance against herds


def details_of(outcome: Outcome, verdict: Verdict) -> dict[str, Any]:
    """What is told of the end of an attempt besides its status."""
    if verdict.status is Status.FINISH:
        return {"cpu_s": outcome.usage.cpu_s}
    told = {"code": verdict.error_code, "reason": verdict.error, "exit_code": outcome.exit_code}
    return {name: value for name, value in told.items() if value is not None}
