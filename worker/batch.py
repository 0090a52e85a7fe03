"""Many small jobs of one event with one slot: claimed, run and settled together, told one by one.

They go to one hand, which runs them one after the other. When they are not through in a moment, one of them takes
longer than was foreseen: what the hand has not begun is taken back and waits again, unclaimed, for other slots; what
has ended is settled at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from job_item.errors import JobFailure, Unavailable
from job_item.job import Status
from job_item.log import get
from job_item.prompt import Prompt
from worker.execute import SETTLE_PAUSE_S, Execution, details_of, settlement_of, stopped, timed_out_as_asked
from worker.journal import Journal, Settlement
from worker.outcome import Outcome, judge
from worker.pace import Pace
from worker.runners.ticket import Ticket
from worker.seams import Assignment, Reporter, Spokesman

Written = TypeVar("Written")
STALL_S = 0.05
"""After this a batch is not through in a moment."""


class BatchRunner(Protocol):
    """Runs several attempts of one job spec, one after the other."""

    def start_all(self, assignments: Sequence[Assignment], on_output: Callable[[str], None]) -> Sequence[Ticket]:
        """Start them. Raises JobFailure."""

    def single_out(self, tickets: Sequence[Ticket]) -> None:
        """Leave unbegun what has not begun; from now on the one that runs has its timeout."""


@dataclass(slots=True)
class Item:
    """One job of a batch. `outcome` is there once it has ended, Unavailable where it has not begun and will not."""

    seq: int
    execution: Execution
    assignment: Assignment
    outcome: Outcome | Unavailable | None = None
    ticket: Ticket | None = None


Over = Callable[[Item, float | None], None]
"""Called when the batch has done with a job: with the pause until its next attempt, None where there is none."""


class BatchExecutor:
    """Runs batches of jobs and settles them in the journal."""

    def __init__(
        self,
        journal: Journal,
        runner: BatchRunner,
        reporter: Reporter,
        job_ended: Callable[[], None],
        spokesman: Spokesman | None = None,
    ) -> None:
        self.pace = Pace()
        self._journal = journal
        self._runner = runner
        self._reporter = reporter
        self._job_ended = job_ended
        self._spokesman = spokesman
        self._logger = get("worker")

    async def run(self, batch: list[Item], free: Callable[[], None], over: Over) -> None:
        """Run the jobs, which are of one spec; `free` is called when none of them runs any more."""
        try:
            await self._start(batch)
            if not await _wait(batch, STALL_S):
                self._runner.single_out([item.ticket for item in batch if item.ticket is not None])
                batch = await self._finish(batch, over, time.time())
                await _wait(batch, None)
        finally:
            ended_at = time.time()  # no later than the next jobs begin in this slot
            free()
        await self._finish(batch, over, ended_at)

    async def _start(self, batch: Sequence[Item]) -> None:
        for item in batch:
            if not item.execution.stop_how:
                self._reporter.started(item.assignment)
                if self._spokesman is not None:
                    await self._spokesman.announce(item.assignment)
        alive = []
        for item in batch:
            if item.execution.stop_how:
                item.outcome = stopped(item.execution.stop_how)
            else:
                alive.append(item)
        try:
            tickets = self._runner.start_all([item.assignment for item in alive], self._reporter.output)
        except JobFailure as failure:
            for item in alive:
                item.outcome = Outcome("failed", error_code=failure.code, error=failure.message)
            return
        for item, ticket in zip(alive, tickets, strict=True):
            item.ticket = item.execution.performance = ticket
            item.execution.grace_s = item.assignment.spec.kill_grace

    async def _finish(self, batch: Sequence[Item], over: Over, ended_at: float) -> list[Item]:
        """Settle what has ended, give back what will not begin; returns what still runs."""
        ended: list[Item] = []
        unbegun: list[Item] = []
        running: list[Item] = []
        for item in batch:
            if item.ticket is not None and item.outcome is None:
                item.outcome = _outcome_of(item)
            if item.outcome is None:
                running.append(item)
            else:
                (ended if isinstance(item.outcome, Outcome) else unbegun).append(item)
        if unbegun:
            ended += await self._give_back(unbegun, over)
        if ended:
            await self._settle(ended, over, ended_at)
        return running

    async def _give_back(self, items: Sequence[Item], over: Over) -> list[Item]:
        """Let jobs wait again; returns those whose end was asked for meanwhile."""
        fences = {item.seq: item.assignment.fence for item in items}
        wishes = await self._until_written(lambda: self._journal.give_back(fences))
        to_settle = []
        for item in items:
            wish = wishes.get(item.seq)
            if wish is None:
                over(item, 0.0 if item.seq in wishes else None)
            else:
                item.outcome = stopped("timeout" if wish is Status.TIMEOUT else "terminate")
                to_settle.append(item)
        return to_settle

    async def _settle(self, items: Sequence[Item], over: Over, ended_at: float) -> None:
        verdicts, words = [], []
        settlements: dict[int, Settlement] = {}
        for item in items:
            outcome = item.outcome
            assert isinstance(outcome, Outcome)  # noqa: S101 - `_finish` has parted them
            verdict = judge(outcome, item.assignment.spec.status)
            settlement = settlement_of(item.assignment, outcome, verdict, ended_at)
            if outcome.run_s is not None:
                self.pace.learn(item.assignment.event, outcome.run_s)
            if self._spokesman is not None:
                words.append(await self._spokesman.conclude(settlement))
            verdicts.append((outcome, verdict))
            settlements[item.seq] = settlement
        follows = await self._until_written(lambda: self._journal.settle_all(settlements, words))
        for item, settlement, status, (outcome, verdict) in zip(
            items, settlements.values(), follows, verdicts, strict=True
        ):
            pause_s = None
            if status is not None:
                self._reporter.settled(item.assignment, settlement, status, details_of(outcome, verdict))
                if status is Status.QUEUED and settlement.retry_at is not None:
                    pause_s = settlement.retry_at - ended_at
            over(item, pause_s)
        self._job_ended()
        well = sum(status is Status.FINISH for status in follows)
        if well:
            self._logger.info("jobs.finished", job_event=items[0].assignment.event, count=well)

    async def _until_written(self, write: Callable[[], Awaitable[Written]]) -> Written:
        """What a job did is not forgotten: a journal that cannot take it is asked again until it can."""
        is_told = False
        while True:
            try:
                return await write()
            except Unavailable as error:
                if not is_told:
                    is_told = True
                    self._logger.error("job.unsettled", code=error.code, reason=error.message)
                await asyncio.sleep(SETTLE_PAUSE_S)


def _outcome_of(item: Item) -> Outcome | Unavailable | None:
    assert item.ticket is not None  # noqa: S101 - asked for by `_finish` only
    result = item.ticket.result
    if isinstance(result, JobFailure):
        return Outcome("failed", error_code=result.code, error=result.message)
    if isinstance(result, Outcome):
        return timed_out_as_asked(result, item.execution)
    return result


async def _wait(batch: Sequence[Item], within_s: float | None) -> bool:
    """Wait until all have ended, for so long at most; tells whether they have."""
    running = [item.ticket for item in batch if item.ticket is not None and item.ticket.result is None]
    if not running:
        return True
    loop = asyncio.get_running_loop()
    ended: Prompt[bool] = Prompt(loop)
    left = len(running)

    def count_down() -> None:
        nonlocal left
        left -= 1
        if not left and not ended.done():
            ended.set_result(True)

    for ticket in running:
        ticket.on_end = count_down
    alarm = None if within_s is None else loop.call_later(within_s, _resolve, ended)
    try:
        return await ended
    finally:
        if alarm is not None:
            alarm.cancel()


def _resolve(ended: asyncio.Future[bool]) -> None:
    if not ended.done():
        ended.set_result(False)
