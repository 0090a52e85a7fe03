"""A dispatcher for tests: a real journal and executor, and a runner whose jobs end when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from job_item.job import JobRecord, Status
from job_item.settings import Job
from tests.boards import board, standing
from tests.journals import journal_in
from worker.dispatch import Dispatcher
from worker.execute import Executor
from worker.intake import Intake
from worker.journal import Journal
from worker.news import News
from worker.outcome import Outcome
from worker.reporters.local import LocalReporter
from worker.seams import Assignment, Lessor, Performance, Runner
from worker.standing import Board

DEADLINE_S = 30.0


class Play:
    """An attempt that does nothing until it is told how it ends."""

    def __init__(self) -> None:
        self.end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def outcome(self) -> Outcome:
        return await self.end

    def stop(self, how: str, grace_s: float) -> None:
        if not self.end.done():
            self.end.set_result(Outcome("timeout" if how == "timeout" else "terminate"))


class Stage:
    """Runs attempts by writing down that they were started (`worker.seams.Runner`)."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.specs: dict[str, Job] = {}
        """Of the last attempt of each job."""
        self.plays: dict[str, Play] = {}
        self.on_start: Callable[[Assignment], None] = lambda _: None

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> Performance:
        self.on_start(assignment)
        self.started.append(assignment.task_id)
        self.specs[assignment.task_id] = assignment.spec
        play = self.plays[assignment.task_id] = Play()
        return play

    def clear(self, task_id: str, spec: Job | None) -> None:
        pass

    def running(self) -> list[str]:
        """The jobs whose attempt has not ended yet."""
        return [task_id for task_id, play in self.plays.items() if not play.end.done()]

    def finish(self, task_id: str, exit_code: int = 0) -> None:
        """Let a job's running attempt end."""
        self.plays[task_id].end.set_result(Outcome("exit", exit_code))


class Company:
    """A journal, what gives its jobs slots, and what runs them."""

    def __init__(self, journal: Journal, board: Board, lessor: Lessor | None = None) -> None:
        self.journal = journal
        self.board = board
        self.stage = Stage()
        self.bugs: list[BaseException] = []
        runner: Runner = self.stage
        self.reporter = LocalReporter(News())
        executor = Executor(journal, runner, self.reporter, lambda: None, lessor=lessor)
        self.dispatcher = Dispatcher(journal, executor, board, self.bugs.append)
        self.intake = Intake(journal, self.dispatcher, board, self.reporter)

    def adopt(self, *specs: Job, concurrency: int = 2) -> None:
        """Bring other settings into force."""
        limits = {"concurrency": concurrency}
        self.board.standing = standing(before=self.board.standing, jobs=specs, limits=limits)
        self.dispatcher.refresh()

    async def until(self, look: Callable[[], Any]) -> None:
        """Let the loop turn until `look` says yes."""
        async with asyncio.timeout(DEADLINE_S):
            while not look():  # noqa: ASYNC110 - what is looked at has no event
                await asyncio.sleep(0.001)

    async def play(self, task_id: str) -> None:
        """Wait for the start of a job, then let it end well."""
        await self.until(lambda: task_id in self.stage.plays)
        self.stage.finish(task_id)

    def record(self, task_id: str) -> JobRecord:
        """The record of a job that is known."""
        record = self.journal.record(task_id)
        assert record is not None
        return record

    async def until_status(self, task_id: str, status: Status) -> None:
        """Let the loop turn until a job has this status."""
        await self.until(lambda: self.record(task_id).status is status)


@asynccontextmanager
async def company(
    path: Path, *specs: Job, concurrency: int = 2, lessor: Callable[[Journal], Lessor] | None = None
) -> AsyncIterator[Company]:
    """Open everything in a folder; at the end all is stopped and settled. `lessor` makes one for jobs on loan."""
    async with journal_in(path) as journal:
        made = Company(
            journal, board(jobs=specs, limits={"concurrency": concurrency}), lessor(journal) if lessor else None
        )
        yield made
        made.dispatcher.close()
        made.dispatcher.stop_all("terminate")
        await made.dispatcher.idle()
        assert made.bugs == []
