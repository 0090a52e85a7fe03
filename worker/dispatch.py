"""The dispatcher: which waiting job gets the next free slot.

The queue is the journal. In memory stands only a short line per event, read from the journal as it empties, so a queue
of any length costs the same memory and the same work per job. Events take turns; a free slot, global and per event, is
the only back-pressure. Which events there are, and how many slots, stands on the board and may change at any time: what
runs goes on, and what waits gets its slot by what is in force then. The line of an event that is configured no more is
put aside as it is, and waits for its return.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict
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
from worker.standing import Board

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
        self._taken = 0
        self._lines: dict[str, Line] = {}
        self._turns: OrderedDict[str, Line] = OrderedDict()
        """The lines of the events that are configured; whose turn it is stands first."""
        self._running: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._later: list[tuple[float, int, str, Waiting]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._open = False
        self._closed = False
        self._parting: Callable[[], None] | None = None
        self._hopeful: set[asyncio.Future[None]] = set()
        self._logger = get("worker")
        self.refresh()

    def refresh(self) -> None:
        """Go by what is in force now."""
        specs = self._board.standing.specs
        for event in self._turns.keys() - specs.keys():
            del self._turns[event]
        for event, spec in specs.items():
            line = self._lines.get(event)
            if line is None:
                line = self._lines[event] = Line(spec)
            line.spec = spec
            self._turns.setdefault(event, line)
        self._fill()

    def start(self) -> None:
        """Begin: nothing of an earlier incarnation is left. One that was closed stays so."""
        self._open = not self._closed
        self._fill()

    def offer(self, event: str) -> None:
        """The journal has a new job for `event`."""
        self._lines[event].grow()
        self._fill()

    def offer_again(self, event: str, task_id: str) -> None:
        """A job that had ended for this node is back in the queue, where it once came in."""
        line, waiting = self._lines.get(event), self._journal.waiting_as(task_id)
        if line is not None and waiting is not None:
            line.put_back(waiting)
            self._fill()

    def has_slot(self, event: str | None = None) -> bool:
        """Whether a job (of `event`, where one is named) would start at once."""
        if event is not None:
            return self.free(event) > 0
        return self._open and self._taken < self._board.standing.settings.limits.concurrency

    def free(self, event: str) -> int:
        """How many jobs of `event` would start at once."""
        line = self._turns.get(event)
        return min(self.slots_free, line.free(self.slots_free)) if self._open and line is not None else 0

    async def slot(self, event: str, within_s: float) -> bool:
        """Wait until a job of `event` would start at once, for so long at most; tells whether it would."""
        deadline_s = self._loop.time() + within_s
        while not self.has_slot(event):
            left_s = deadline_s - self._loop.time()
            if left_s <= 0:
                return False
            hope: asyncio.Future[None] = self._loop.create_future()
            self._hopeful.add(hope)
            try:
                await asyncio.wait({hope}, timeout=left_s)
            finally:
                self._hopeful.discard(hope)
        return True

    def stop(self, task_id: str, how: str) -> bool:
        """End a job that has a slot; False when it has none."""
        execution = self._running.get(task_id)
        if execution is not None:
            execution.stop(how)
        return execution is not None

    def kill(self, task_id: str) -> bool:
        """End a job that has a slot at once; False when it has none."""
        execution = self._running.get(task_id)
        if execution is not None:
            execution.stop("terminate", 0.0)
        return execution is not None

    @property
    def slots_free(self) -> int:
        """How many jobs could start now."""
        return max(0, self._board.standing.settings.limits.concurrency - self._taken)

    def running(self) -> tuple[tuple[str, str | None], ...]:
        """The jobs that have a slot, each with how it is being stopped, if it is."""
        return tuple((task_id, execution.stop_how) for task_id, execution in self._running.items())

    def close(self) -> None:
        """Give no more slots away; what runs goes on."""
        self._open, self._closed = False, True
        if self._alarm is not None:
            self._alarm.cancel()

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

    async def idle(self) -> None:
        """Return when nothing runs and everything that ran is settled."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _fill(self) -> None:
        """Give the free slots away; whoever calls has other things to do than to care for what happens here."""
        try:
            self._give_slots()
            for hope in self._hopeful:
                if not hope.done():
                    hope.set_result(None)
        except Unavailable as error:
            self._logger.error("dispatch.paused", code=error.code, reason=error.message)
            self._pause()
        except Exception as bug:
            self._on_fatal(bug)

    def _give_slots(self) -> None:
        """Give slots to one event after the other.

        The claim goes to the journal at once, so that it is committed together with the settlement that freed the slot.
        """
        while self._open and self._taken < self._board.standing.settings.limits.concurrency:
            found = self._next()
            if found is None:
                return
            line, waiting = found
            self._taken += 1
            line.running += 1
            self._running[waiting.task_id] = Execution(waiting.task_id)
            others = self._take_more(line, waiting)
            if others:
                run = self._claim_batch(line, [waiting, *others])
            else:
                run = self._run(line, waiting, self._journal.claim(waiting.task_id, time.time()))
            self._tasks.add(self._loop.create_task(self._serve(run)))

    def _next(self) -> tuple[Line, Waiting] | None:
        for event, line in tuple(self._turns.items()):
            waiting = line.take(self._journal, partial(self._postpone, event))
            while waiting is not None and waiting.task_id in self._running:
                # Left in a pause and lent again: it has its slot, and this is its place of before.
                waiting = line.take(self._journal, partial(self._postpone, event))
            if waiting is not None:
                self._turns.move_to_end(event)
                return line, waiting
        return None

    def _take_more(self, line: Line, first: Waiting) -> list[Waiting]:
        """The small jobs that share a slot with `first`; one on loan has a slot, and an end, of its own."""
        if self._batches is None or first.is_leased:
            return []
        ahead = self._batches.pace.ahead(line.spec)
        more = line.take_more(ahead) if ahead else []
        return [waiting for waiting in more if waiting.task_id not in self._running]

    def _claim_batch(self, line: Line, batch: list[Waiting]) -> Coroutine[Any, Any, None]:
        for waiting in batch:
            self._running[waiting.task_id] = Execution(waiting.task_id)
        return self._run_batch(line, batch, self._journal.claim_all([each.seq for each in batch], time.time()))

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
        execution = self._running[waiting.task_id]
        try:
            try:
                assignment = await self._claimed(line, waiting, claim)
                if assignment is None:
                    return
                outcome = await self._executor.perform(execution, assignment)
                if self._batches is not None and outcome.run_s is not None:
                    self._batches.pace.learn(assignment.event, outcome.run_s)
            finally:
                self._release(line)
            pause_s = await self._executor.settle(assignment, outcome)
        finally:
            del self._running[waiting.task_id]
        if pause_s is not None:
            again = waiting._replace(attempt=assignment.attempt, not_before=None)
            self._postpone(line.spec.event, again, pause_s)

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
            else:
                items.append(
                    Item(waiting.seq, self._running[waiting.task_id], _assignment(claim, line.spec, is_small=True))
                )
        assert self._batches is not None  # noqa: S101 - there would be no batch
        await self._batches.run(items, partial(self._release, line), self._forget)

    def _forget(self, item: Item, pause_s: float | None) -> None:
        """A batch has done with a job; it waits again after a pause, unless there is none."""
        task_id = item.assignment.task_id
        del self._running[task_id]
        if pause_s is not None:
            waiting = Waiting(item.seq, task_id, item.assignment.attempt, None)
            self._postpone(item.assignment.event, waiting, pause_s)

    async def _claimed(self, line: Line, waiting: Waiting, claiming: Awaitable[Claim | None]) -> Assignment | None:
        """The attempt once it is the journal's; None when the job is not to be run (any more, or now)."""
        try:
            claim = await claiming
        except Unavailable as error:
            self._logger.error("dispatch.paused", task_id=waiting.task_id, code=error.code, reason=error.message)
            line.put_back(waiting)
            self._pause()
            return None
        if claim is None:
            return None
        return _assignment(claim, line.spec)

    def _release(self, line: Line) -> None:
        self._taken -= 1
        line.running -= 1
        self._part()
        self._fill()

    def _part(self) -> None:
        if self._parting is not None and not self._taken:
            then, self._parting = self._parting, None
            self.close()
            then()

    def _pause(self) -> None:
        """The journal takes nothing: leave the queue alone for a moment."""
        if self._open:
            self._open = False
            self._loop.call_later(PAUSE_S, self.start)

    def _postpone(self, event: str, waiting: Waiting, pause_s: float) -> None:
        """Give the job back to its line after a pause, measured by the loop's own clock."""
        heapq.heappush(self._later, (self._loop.time() + pause_s, waiting.seq, event, waiting))
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._later and not self._closed:
            self._alarm = self._loop.call_at(self._later[0][0], self._ring)

    def _ring(self) -> None:
        now_s = self._loop.time()
        while self._later and self._later[0][0] <= now_s:
            _, _, event, waiting = heapq.heappop(self._later)
            self._lines[event].put_back(waiting)
        self._set_alarm()
        self._fill()


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
