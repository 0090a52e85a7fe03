"""An attempt from its start to its settlement, with a runner that does what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from job_item.errors import Unavailable
from job_item.job import Status
from job_item.settings import Job, Retries
from worker import execute
from worker.execute import TIMED_OUT_ON_REQUEST, Execution, Executor
from worker.journal import Journal, Settlement
from worker.outcome import Outcome, judge
from worker.seams import Assignment, Performance, Reporter

END = Outcome("exit", 0)
FULL = Unavailable("ERR-STO-001", "The journal cannot be written: disk is full.")
AWAY = Unavailable("ERR-RUN-014", "There can be no more processes now.")


class Silent:
    """A reporter that nobody listens to."""

    def started(self, assignment: Assignment) -> None: ...

    def settled(self, *facts: Any) -> None: ...


class Script:
    """Runner, performance and journal in one: what it says next is `lines`; an exception is raised."""

    def __init__(self, *lines: Outcome | Unavailable) -> None:
        self._lines: Iterator[Outcome | Unavailable] = iter(lines)
        self.starts = self.refusals = 0
        self.cleared: list[str] = []
        self.stopped = asyncio.Event()
        self.settlement: Settlement | None = None

    def clear(self, task_id: str, spec: Job | None) -> None:
        self.cleared.append(task_id)

    def start(self, assignment: Assignment, on_output: Callable[[], None]) -> Performance:
        self.starts += 1
        return self

    async def outcome(self) -> Outcome:
        await asyncio.sleep(0)
        line = next(self._lines, AWAY)
        if isinstance(line, Unavailable):
            raise line
        return line

    def stop(self, how: str, grace_s: float) -> None: ...

    async def settle(self, settlement: Settlement, words: object = None) -> Status:
        self.refusals -= 1
        if self.refusals >= 0:
            raise FULL
        self.settlement = settlement
        return settlement.status


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "START_PAUSE_S", 0.02)
    monkeypatch.setattr(execute, "SETTLE_PAUSE_S", 0.02)


def assignment(attempts: int = 1) -> Assignment:
    return Assignment("T1", "e", 1, 1, b"{}", Job(event="e", cmd="true", retries=Retries(attempts=attempts)))


def executor(script: Script) -> Executor:
    return Executor(cast(Journal, script), script, cast(Reporter, Silent()), lambda: None)


def test_what_could_not_begin_is_tried_again_at_once() -> None:
    async def body() -> None:
        script = Script(AWAY, AWAY, END)
        assert await executor(script).perform(Execution("T1"), assignment()) == END
        assert (script.starts, script.cleared) == (3, [])

    asyncio.run(body())


@pytest.mark.parametrize("attempts", [1, 2])
def test_what_cannot_begin_for_long_is_an_ordinary_failure(attempts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "START_TRIES", 3)

    async def body() -> None:
        script = Script()
        outcome = await executor(script).perform(Execution("T1"), assignment(attempts))
        assert (outcome.end, outcome.error_code, outcome.may_pass) == ("failed", "ERR-RUN-014", True)
        assert script.starts == 3
        await executor(script).settle(assignment(attempts), outcome, 300.0)
        assert script.settlement is not None
        assert script.settlement.status is Status.ERROR
        assert (script.settlement.retry_at is not None) == (attempts > 1)

    asyncio.run(body())


@pytest.mark.parametrize("how", ["terminate", "timeout"])
def test_a_stop_between_two_tries_ends_them(how: str) -> None:
    async def body() -> None:
        script, execution = Script(), Execution("T1")
        task = asyncio.create_task(executor(script).perform(execution, assignment()))
        while not script.starts:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        execution.stop(how)
        assert (await task).end == how

    asyncio.run(body())


def test_a_timeout_on_request_says_that_it_was_one_however_far_the_job_had_come() -> None:
    async def body() -> None:
        for turns in (0, 1):  # asked for before it has begun, and while it runs
            script, execution = Script(Outcome("timeout")), Execution("T1")
            task = asyncio.create_task(executor(script).perform(execution, assignment()))
            for _ in range(turns):
                await asyncio.sleep(0)
            execution.stop("timeout")
            verdict = judge(await task, "exit_code")
            assert script.starts == turns
            assert (verdict.status, verdict.error) == (Status.TIMEOUT, TIMED_OUT_ON_REQUEST)

    asyncio.run(body())


def test_what_a_lost_attempt_left_behind_is_cleared() -> None:
    async def body() -> None:
        script = Script(Outcome("lost"))
        assert (await executor(script).perform(Execution("T1"), assignment())).end == "lost"
        assert script.cleared == ["T1"]

    asyncio.run(body())


def test_a_journal_that_refuses_an_end_again_and_again_is_told_of_once() -> None:
    async def body() -> None:
        script = Script()
        script.refusals = 3
        with capture_logs() as logged:
            await executor(script).settle(assignment(), END, 300.0)
        assert script.settlement is not None
        assert [line["event"] for line in logged] == ["job.unsettled"]

    asyncio.run(body())
