"""Moments in which a job on loan, or its whole queue, would wait for ever: something always goes on."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import BadMessage, Unavailable
from job_item.job import JobRecord, Status
from job_item.settings import Job
from tests.borrowing import LEASE_S, SUBJECT, post, spec
from tests.clocks import pass_time
from tests.journals import in_loop
from worker.brokers.life import Life
from worker.brokers.queues import Loan, Queue
from worker.journal import Loaned
from worker.sources import draw

RESTS = {"attempts": 5, "backoff": 3600, "backoff_max": 3600}


def other() -> Job:
    """A job of another event."""
    return Job.model_validate({"event": "other", "cmd": "true"})


@in_loop
async def test_a_job_that_is_lent_again_before_its_loss_was_noticed_runs_again(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        renew, is_over = at.queues.renew, asyncio.Event()

        async def renew_never(loan: Loan) -> Loan:
            try:
                await is_over.wait()
            finally:
                await is_over.wait()  # whoever keeps the lease gets no turn
            return loan

        at.queues.renew = renew_never  # type: ignore[method-assign]  # the moment is what counts here
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        await pass_time(LEASE_S)
        await at.made.until(lambda: at.made.stage.started == ["T1", "T1"])
        at.queues.renew = renew  # type: ignore[method-assign]
        is_over.set()
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)
        await at.made.until(lambda: at.is_empty)


@in_loop
async def test_a_job_that_the_journal_lets_not_begin_is_given_back_and_left(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        give_up = at.made.journal.give_up

        async def refuse(*_: Any, **__: Any) -> JobRecord | None:
            at.made.journal.give_up = give_up  # type: ignore[method-assign]
            raise Unavailable("ERR-STO-001", "The disk is full.")

        at.made.journal.give_up = refuse  # type: ignore[method-assign]  # as a full disk does
        await at.put("T1")
        at.store.waiting[SUBJECT][0].lent = 2  # nobody has had a turn to borrow it yet
        await at.made.until(lambda: at.made.stage.started == ["T1"])
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)
        await at.made.until(lambda: at.is_empty)


@in_loop
async def test_a_job_that_comes_back_when_its_pause_of_before_is_over_runs(tmp_path: Path) -> None:
    async with post(tmp_path, spec(retries={"attempts": 5, "backoff": LEASE_S * 3, "backoff_max": LEASE_S * 4})) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.made.stage.finish("T1", 3)
        await at.made.until_status("T1", Status.QUEUED)
        loop, borrow = asyncio.get_running_loop(), at.made.journal.borrow
        alarm = at.made.dispatcher._turns.pauses._alarm
        assert alarm is not None
        due_s = alarm.when()
        is_asked = asyncio.Event()

        async def borrow_then(
            task_id: str, event: str, body: bytes, created_at: float, loaned: Loaned
        ) -> tuple[bool, JobRecord]:
            """Asked for in the turn of the loop in which the pause is over: both are written together."""
            is_due = asyncio.Event()
            loop.call_at(math.nextafter(due_s, 0.0), is_due.set)
            is_asked.set()
            await is_due.wait()
            return await borrow(task_id, event, body, created_at, loaned)

        at.made.journal.borrow = borrow_then  # type: ignore[method-assign]  # the moment is what counts here
        at.hub.stop()
        await pass_time(LEASE_S)
        await at.made.until_status("T1", Status.LEFT)
        at.hub.is_open = True
        await is_asked.wait()
        assert loop.time() < due_s
        await pass_time(due_s - loop.time() + 1)
        await at.made.until(lambda: at.made.stage.started == ["T1", "T1"])
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)


@in_loop
async def test_a_queue_that_could_not_be_opened_is_opened_again_though_the_connection_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "REFUSED_PAUSE_S", 0.01)
    async with post(tmp_path, spec()) as at:
        await at.made.until(lambda: not at.source.refusals)  # its queue is open
        open_queue, is_refused = at.queues.open, asyncio.Event()

        async def refuse(subject: str, slots: int) -> Queue:
            if subject != SUBJECT:
                return await open_queue(subject, slots)
            at.queues.open = open_queue  # type: ignore[method-assign]
            is_refused.set()
            raise Unavailable("ERR-BRK-002", "The answer is not understood.")

        at.made.adopt(other())
        at.source.refresh()
        at.queues.open = refuse  # type: ignore[method-assign]  # as a server that says strange things
        at.made.adopt(spec())
        at.source.refresh()
        await is_refused.wait()
        await at.put("T1")
        await at.made.play("T1")
        await at.made.until_status("T1", Status.FINISH)


@in_loop
async def test_what_waits_on_loan_for_an_event_that_is_gone_is_given_back(tmp_path: Path) -> None:
    async with post(tmp_path, spec(retries=RESTS)) as at:
        for name in ("rests", "runs"):
            await at.put(name)
            await at.made.until(lambda name=name: at.made.stage.running() == [name])  # type: ignore[misc]
            if name == "rests":
                at.made.stage.finish(name, 3)
                await at.made.until_status(name, Status.QUEUED)
        at.made.adopt(other())
        at.source.refresh()
        await at.made.until_status("rests", Status.LEFT)
        assert at.made.record("runs").status is Status.RUNNING
        at.made.stage.finish("runs", 3)
        await at.made.until_status("runs", Status.LEFT)
        await at.made.until(lambda: not at.leases.held)
        assert len(at.store.waiting[SUBJECT]) == 2
        at.made.adopt(spec(retries=RESTS))
        at.source.refresh()
        await at.made.until(lambda: set(at.made.stage.running()) == {"rests", "runs"})


@in_loop
async def test_the_end_comes_although_jobs_are_lost_and_the_journal_refuses_meanwhile(tmp_path: Path) -> None:
    async with post(tmp_path, spec(retries=RESTS)) as at:
        for name in ("T1", "T2", "T3"):
            await at.put(name)
            await at.made.until(lambda name=name: at.made.stage.running() == [name])  # type: ignore[misc]
            at.made.stage.finish(name, 3)
            await at.made.until_status(name, Status.QUEUED)
        await at.source.drain()
        here, leave = at, at.made.journal.leave

        async def leave_late(task_id: str, at: float) -> bool:
            here.made.journal.leave = leave  # type: ignore[method-assign]
            here.hub.stop()
            await pass_time(LEASE_S)
            await here.made.until(lambda: not here.leases.held)
            raise Unavailable("ERR-STO-001", f"The disk is full, {task_id} cannot be left at {at}.")

        at.made.journal.leave = leave_late  # type: ignore[method-assign]  # the moment is what counts here
        await at.leases.stop(5.0)
        assert {at.made.record(name).status for name in ("T1", "T2", "T3")} == {Status.LEFT}


@in_loop
async def test_a_job_whose_end_could_not_be_told_for_a_bug_is_lent_again_and_its_end_told(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        accept = at.queues.accept

        async def fail(loan: Loan) -> None:
            at.queues.accept = accept  # type: ignore[method-assign]
            raise LookupError(loan.subject)

        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.queues.accept = fail  # type: ignore[method-assign]  # as a client library that fails inside
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)
        await pass_time(LEASE_S)
        await at.made.until(lambda: not at.made.journal.is_leased("T1"))
        await at.made.until(lambda: at.is_empty)
        assert at.made.journal.unsaid() == []


@in_loop
async def test_a_dead_letter_that_the_broker_cannot_take_does_not_hold_the_end_of_its_job_back(tmp_path: Path) -> None:
    async with post(tmp_path, spec(retries={"attempts": 2, "backoff": 0})) as at:

        async def refuse(task_id: str, letter: bytes) -> None:
            raise BadMessage("ERR-BRK-006", f"{len(letter)} bytes are too many.")

        at.queues.bury = refuse  # type: ignore[method-assign]  # as a broker whose messages may not be as large
        await at.put("T1")
        for number in (1, 2):
            await at.made.until(lambda number=number: len(at.made.stage.started) == number)  # type: ignore[misc]
            at.made.stage.finish("T1", 3)
        await at.made.until_status("T1", Status.ERROR)
        await at.made.until(lambda: not at.made.journal.is_leased("T1"))
        assert at.made.journal.unsaid() == []


@in_loop
async def test_what_a_client_library_calls_off_is_the_end_of_the_connection_and_of_no_task() -> None:
    async def call_off() -> None:
        raise asyncio.CancelledError

    life = Life("here", ())
    with pytest.raises(Unavailable):
        await life.during(call_off(), 60)
    life = Life("here", ())
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(answer.cancel)
    with pytest.raises(Unavailable):
        await life.answered(answer, 60)
    assert life.lost.done()
