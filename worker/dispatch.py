"""The dispatcher: it gives the next free slot to a waiting job, and sees the job through to its settlement.

The queue is the journal. In memory stands only a short line per event, read from the journal as it empties, so a queue
of any length costs the same memory and the same work per job. Which job is next `worker.turns` says, and `worker.slots`
how many there may be; both go by the board, which may change at any time: what runs goes on, and what waits gets its
slot by what is in force then. A free slot, global and per event, is the only back-pressure.

A job's way through this file: `offer`, `_fill`, `_begin`, `_run`; where another attempt follows, the job waits for its
moment and is found by `_fill` again. Small jobs that share a slot go from `_begin` to `_run_batch` and `_forget`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from job_item.errors import Unavailable
from job_item.log import get
from job_item.settings import Job
from job_item.trace import kept
from worker.batch import BatchExecutor, Item
from worker.execute import Execution, Executor
from worker.journal import Claim, Journal, Waiting
from worker.line import Line
from worker.seams import Assignment
from worker.slots import Slots
from worker.standing import Board
from worker.turns import Turns

PAUSE_S = 1.0


class Dispatcher:
    """Gives slots to jobs, and knows what runs."""

    def __init__(
        self,
        journal: Journal,
        executor: Executor,
        board: Board,
        on_fatal: Callable[[BaseException], None],
        batches: BatchExecutor | None = None,
    ) -> None:
        self._batches = batches
        self._journal = journal
        self._executor = executor
        self._board = board
        self._on_fatal = on_fatal
        self._turns = Turns(journal, self._fill)
        self._slots = Slots(board)
        self._running: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._closed = False
        self._parting: Callable[[], None] | None = None
        self._logger = get("worker")
        self.refresh()

    # What others tell it.

    def refresh(self) -> None:
        """Go by what is in force now."""
        self._turns.refresh(self._board.standing.specs)
        self._fill()

    def start(self) -> None:
        """Begin: nothing of an earlier incarnation is left. One that was closed stays so."""
        self._open = not self._closed
        self._fill()

    def offer(self, event: str) -> None:
        """The journal has a new job for `event`, which is configured, or was."""
        self._turns.grow(event)
        self._fill()

    def offer_again(self, event: str, task_id: str) -> None:
        """A job that had ended for this node is back in the queue, where it once came in."""
        waiting = self._journal.waiting_as(task_id)
        if waiting is not None and self._turns.put_back(event, waiting):
            self._fill()

    def stop(self, task_id: str, how: str, grace_s: float | None = None) -> bool:
        """End a job that has a slot, with its own grace where none is named; False when it has no slot."""
        execution = self._running.get(task_id)
        if execution is not None:
            execution.stop(how, grace_s)
        return execution is not None

    def kill(self, task_id: str) -> bool:
        """End a job that has a slot at once; False when it has none."""
        return self.stop(task_id, "terminate", 0.0)

    def close_when_idle(self, then: Callable[[], None]) -> None:
        """Close in the first moment in which no job has a slot, also where others wait for one; then call `then`."""
        self._parting = then
        self._part()

    def stop_all(self, how: str) -> float:
        """End everything that runs; returns the longest grace that any of it has, in seconds."""
        executions = list(self._running.values())
        for execution in executions:
            execution.stop(how)
        return max((execution.grace_s for execution in executions), default=0.0)

    def close(self) -> None:
        """Give no more slots away; what runs goes on."""
        self._open, self._closed = False, True
        self._turns.pauses.close()

    async def idle(self) -> None:
        """Return when nothing runs and everything that ran is settled."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    # What others ask it.

    def running(self) -> tuple[tuple[str, str | None], ...]:
        """The jobs that have a slot, each with how it is being stopped, if it is."""
        return tuple((task_id, execution.stop_how) for task_id, execution in self._running.items())

    @property
    def slots_free(self) -> int:
        """How many jobs could start now."""
        return self._slots.free

    def free(self, event: str) -> int:
        """How many jobs of `event` would start at once."""
        line = self._turns.configured(event)
        return line.free(self._slots.free) if self._open and line is not None else 0

    def has_slot(self, event: str | None = None) -> bool:
        """Whether a job (of `event`, where one is named) would start at once."""
        return self.free(event) > 0 if event is not None else self._open and self._slots.free > 0

    async def slot(self, event: str, within_s: float) -> bool:
        """Wait until a job of `event` would start at once, for so long at most; tells whether it would."""
        return await self._slots.wait(partial(self.has_slot, event), within_s)

    # A job's way.

    def _fill(self) -> None:
        """Give the free slots away; whoever calls has other things to do than to care for what happens here."""
        try:
            while self._open and self._slots.free:
                found = self._turns.next(self._running)
                if found is None:
                    break
                self._begin(*found)
            self._slots.tell()
        except Unavailable as error:
            self._logger.error("dispatch.paused", code=error.code, reason=error.message)
            self._pause()
        except Exception as bug:
            self._on_fatal(bug)

    def _begin(self, line: Line, waiting: Waiting) -> None:
        """Give a slot to a job, and to the small ones that share it.

        The claim goes to the journal at once, so that it is committed together with the settlement that freed the slot.
        """
        self._slots.take(line)
        self._running[waiting.task_id] = Execution(waiting.task_id)
        others = self._take_more(line, waiting)
        if others:
            for each in others:
                self._running[each.task_id] = Execution(each.task_id)
            batch = [waiting, *others]
            run = self._run_batch(line, batch, self._journal.claim_all([each.seq for each in batch], time.time()))
        else:
            run = self._run(line, waiting, self._journal.claim(waiting.task_id, time.time()))
        self._tasks.add(self._loop.create_task(self._serve(run)))

    async def _serve(self, run: Coroutine[Any, Any, None]) -> None:
        """Serve who got a slot and forget it. What gets here is a bug: a new process puts right what it left behind."""
        try:
            await run
        except Exception as bug:
            self._on_fatal(bug)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)

    async def _run(self, line: Line, waiting: Waiting, claim: Awaitable[Claim | None]) -> None:
        """Run one job with its slot; the slot is free again as soon as its last process is gone."""
        execution, pause_s = self._running[waiting.task_id], None
        try:
            try:
                assignment = await self._claimed(line, waiting, claim)
                if assignment is None:
                    return
                outcome = await self._executor.perform(execution, assignment)
                ended_at = time.time()  # no later than the next job begins in this slot
                if self._batches is not None and outcome.run_s is not None:
                    self._batches.pace.learn(assignment.event, outcome.run_s)
            finally:
                self._release(line)
            pause_s = await self._executor.settle(assignment, outcome, ended_at)
        finally:
            del self._running[waiting.task_id]
            if execution.is_due and pause_s is None:  # it may have come back when this was no attempt of it
                line.put_back(waiting)
                self._fill()
        if pause_s is not None:
            again = waiting._replace(attempt=assignment.attempt, not_before=None)
            self._turns.pauses.begin(line.spec.event, again, pause_s)

    async def _claimed(self, line: Line, waiting: Waiting, claiming: Awaitable[Claim | None]) -> Assignment | None:
        """The attempt once it is the journal's; None when the job is not to be run (any more, or now)."""
        try:
            claim = await claiming
        except Unavailable as error:
            self._logger.error("dispatch.paused", task_id=waiting.task_id, code=error.code, reason=error.message)
            line.put_back(waiting)
            self._pause()
            return None
        return None if claim is None else _assignment(claim, line.spec)

    def _release(self, line: Line) -> None:
        """The slot is free again: the next job gets it."""
        self._slots.release(line)
        self._part()
        self._fill()

    def _part(self) -> None:
        if self._parting is not None and not self._slots.taken:
            then, self._parting = self._parting, None
            self.close()
            then()

    def _pause(self) -> None:
        """The journal takes nothing: leave the queue alone for a moment."""
        if self._open:
            self._open = False
            self._loop.call_later(PAUSE_S, self.start)

    # Small jobs share a slot.

    def _take_more(self, line: Line, first: Waiting) -> list[Waiting]:
        """The small jobs that share a slot with `first`; one on loan has a slot, and an end, of its own."""
        if self._batches is None or first.is_leased:
            return []
        ahead = self._batches.pace.ahead(line.spec)
        more = line.take_more(ahead) if ahead else []
        return [waiting for waiting in more if waiting.task_id not in self._running]

    async def _run_batch(self, line: Line, batch: list[Waiting], claiming: Awaitable[Mapping[int, Claim]]) -> None:
        """Run small jobs with one slot."""
        try:
            claims = await claiming
        except Unavailable as error:
            self._logger.error("dispatch.paused", code=error.code, reason=error.message)
            for waiting in batch:
                del self._running[waiting.task_id]
                line.put_back(waiting)
            self._pause()
            self._release(line)
            return
        items = []
        for waiting in batch:
            claim = claims.get(waiting.seq)
            if claim is None:
                del self._running[waiting.task_id]
                continue
            assignment = _assignment(claim, line.spec, is_small=True)
            items.append(Item(waiting.seq, self._running[waiting.task_id], assignment))
        assert self._batches is not None  # noqa: S101 - there would be no batch
        await self._batches.run(items, partial(self._release, line), self._forget)

    def _forget(self, item: Item, pause_s: float | None) -> None:
        """A batch has done with a job; it waits again after a pause, unless there is none."""
        task_id = item.assignment.task_id
        del self._running[task_id]
        if pause_s is not None:
            waiting = Waiting(item.seq, task_id, item.assignment.attempt, None)
            self._turns.pauses.begin(item.assignment.event, waiting, pause_s)


def _assignment(claim: Claim, spec: Job, *, is_small: bool = False) -> Assignment:
    return Assignment(
        claim.task_id,
        spec.event,
        claim.attempt,
        claim.fence,
        claim.body,
        spec,
        claim.started_at,
        claim.due_at,
        kept(claim.trace),
        claim.spent,
        is_small,
    )
