"""The dispatcher: slots in the order of acceptance, whatever the disk and the wall clock do meanwhile."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from job_item.job import Status
from job_item.settings import Job, Retries
from tests.dispatching import company
from tests.journals import accept, claim, end_of, in_loop
from worker import dispatch
from worker.journal import Journal, Loaned, Waiting

HOUR_S = 3600.0


def job(event: str = "render", **members: object) -> Job:
    return Job.model_validate({"event": event, "cmd": "true", **members})


def break_reading(journal: Journal, *, broken: bool) -> None:
    """Have every read of the journal fail, or work again."""
    journal._reader._db.set_progress_handler((lambda: 1) if broken else None, 1)


@in_loop
async def test_slots_go_by_the_order_of_acceptance_and_events_take_turns(tmp_path: Path) -> None:
    async with company(tmp_path, job("a"), job("b"), concurrency=1) as made:
        await accept(made.journal, "a1", "a2", event="a")
        await accept(made.journal, "b1", event="b")
        made.dispatcher.start()
        for task_id in ("a1", "b1", "a2"):
            await made.play(task_id)
        await made.until_status("a2", Status.FINISH)
        assert made.stage.started == ["a1", "b1", "a2"]


@in_loop
async def test_a_job_begins_no_earlier_than_the_one_ended_whose_slot_it_has(tmp_path: Path) -> None:
    async with company(tmp_path, job("a"), concurrency=1) as made:
        await accept(made.journal, "a1", "a2", event="a")
        made.dispatcher.start()
        await made.play("a1")
        await made.play("a2")
        await made.until_status("a2", Status.FINISH)
        first, second = (made.record(task_id) for task_id in ("a1", "a2"))
        assert first.finished_at is not None
        assert second.started_at is not None
        assert first.finished_at <= second.started_at


@in_loop
async def test_an_event_has_no_more_slots_than_its_own(tmp_path: Path) -> None:
    async with company(tmp_path, job("a", concurrency=1), job("b"), concurrency=3) as made:
        await accept(made.journal, "a1", "a2", event="a")
        await accept(made.journal, "b1", "b2", event="b")
        made.dispatcher.start()
        await made.until(lambda: len(made.stage.started) == 3)
        assert set(made.stage.started) == {"a1", "b1", "b2"}


@in_loop
async def test_it_closes_between_two_jobs_where_somebody_waits_for_that(tmp_path: Path) -> None:
    idle: list[str] = []
    async with company(tmp_path, job("a"), concurrency=2) as made:
        await accept(made.journal, "a1", "a2", "a3", "a4", event="a")
        made.dispatcher.start()
        await made.until(lambda: len(made.stage.started) == 2)
        made.dispatcher.close_when_idle(lambda: idle.append("idle"))
        await made.play("a1")
        await made.until(lambda: len(made.stage.started) == 3)
        assert idle == [], "others may start while one runs"
        made.adopt(job("a"), concurrency=1)
        await made.play("a2")
        await made.until_status("a2", Status.FINISH)
        await made.play("a3")
        await made.until(lambda: idle)
        made.dispatcher.refresh()
        await made.until_status("a3", Status.FINISH)
        assert (made.stage.started, idle) == (["a1", "a2", "a3"], ["idle"])


@in_loop
async def test_it_closes_at_once_where_nothing_runs_and_stays_closed(tmp_path: Path) -> None:
    idle: list[str] = []
    async with company(tmp_path, job("a")) as made:
        await accept(made.journal, "a1", event="a")
        made.dispatcher.close_when_idle(lambda: idle.append("idle"))
        made.dispatcher.start()
        assert idle == ["idle"] and made.dispatcher.running() == ()


@in_loop
async def test_claims_that_were_refused_come_back_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PAUSE_S", 0.01)
    async with company(tmp_path, job(), concurrency=3) as made:
        tasks = [f"t{number}" for number in range(6)]
        await accept(made.journal, *tasks)
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            made.dispatcher.start()
            await made.until(lambda: not made.dispatcher._tasks)
            assert made.stage.started == []
        for task_id in tasks:
            await made.play(task_id)
        assert made.stage.started == tasks


@in_loop
async def test_a_journal_that_cannot_be_read_fails_neither_who_submits_nor_what_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PAUSE_S", 0.01)
    async with company(tmp_path, job(), concurrency=1) as made:
        made.dispatcher.start()
        await accept(made.journal, "a", "b")
        made.dispatcher.offer("render")
        await made.until(lambda: made.stage.started == ["a"])
        line = made.dispatcher._turns.configured("render")
        assert line is not None
        line._waiting.clear()  # what stands there has to be read again
        line._read_to = 0
        break_reading(made.journal, broken=True)
        made.dispatcher.offer("render")
        made.stage.finish("a")
        await made.until(lambda: not made.dispatcher._tasks)
        made.dispatcher.offer("render")
        break_reading(made.journal, broken=False)
        assert made.record("a").status is Status.FINISH
        await made.until(lambda: made.stage.started == ["a", "b"])


@in_loop
async def test_a_retry_comes_after_its_pause_though_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with company(tmp_path, job(retries=Retries(attempts=2, backoff=0.1))) as made:
        begin, paused = made.dispatcher._turns.pauses.begin, list[str]()

        def begin_and_set_back(event: str, waiting: Waiting, pause_s: float) -> None:
            begin(event, waiting, pause_s)
            paused.append(waiting.task_id)
            monkeypatch.setattr(dispatch, "time", SimpleNamespace(time=lambda: time.time() - HOUR_S))

        monkeypatch.setattr(made.dispatcher._turns.pauses, "begin", begin_and_set_back)
        await accept(made.journal, "a")
        made.dispatcher.start()
        await made.until(lambda: made.stage.started == ["a"])
        made.stage.finish("a", exit_code=1)
        await made.until(lambda: made.stage.started == ["a", "a"])
        assert paused == ["a"]


@in_loop
async def test_a_retry_of_an_earlier_process_waits_no_longer_than_any_pause_of_its_job(tmp_path: Path) -> None:
    async with company(tmp_path, job(retries=Retries(attempts=2, backoff_max=0.05))) as made:
        await accept(made.journal, "a")
        end = end_of(await claim(made.journal, "a"), Status.ERROR, retry_at=time.time() + HOUR_S)
        assert await made.journal.settle(end) is Status.QUEUED
        made.dispatcher.start()
        await made.until(lambda: made.stage.started == ["a"])


@in_loop
async def test_a_retry_is_given_the_pause_that_it_has(tmp_path: Path) -> None:
    async with company(tmp_path, job(retries=Retries(attempts=2, backoff=0.2))) as made:
        await accept(made.journal, "a")
        made.dispatcher.start()
        await made.until(lambda: made.stage.started == ["a"])
        began_s = time.monotonic()
        made.stage.finish("a", exit_code=1)
        await made.until(lambda: made.stage.started == ["a", "a"])
        assert time.monotonic() - began_s > 0.17  # chance takes a tenth at most


@in_loop
async def test_a_job_that_was_left_in_a_pause_and_came_again_has_one_slot(tmp_path: Path) -> None:
    spec = job(retries=Retries(attempts=3, backoff=HOUR_S, backoff_max=HOUR_S))
    async with company(tmp_path, spec) as made:

        async def lend(delivery: int) -> None:
            is_new, record = await made.journal.borrow("a", spec.event, b"{}", time.time(), Loaned(delivery))
            assert is_new
            (made.intake.resume if delivery > 1 else made.intake.begin)(record)

        made.dispatcher.start()
        await lend(1)
        await made.until(lambda: made.stage.started == ["a"])
        made.stage.finish("a", 1)
        await made.until_status("a", Status.QUEUED)
        assert await made.journal.leave("a", time.time())
        await lend(2)
        await made.until(lambda: made.stage.started == ["a", "a"])
        pauses = made.dispatcher._turns.pauses  # the pause of before is over
        pauses._heap[:] = [(0.0, seq, event, waiting) for _, seq, event, waiting in pauses._heap]
        pauses._ring()
        assert not pauses
        await made.journal.accept("b", spec.event, "test", b"{}", time.time())
        made.dispatcher.offer(spec.event)
        await made.play("b")
        await made.until_status("b", Status.FINISH)
        assert made.dispatcher.running() == (("a", None),)
        made.stage.finish("a")
        await made.until_status("a", Status.FINISH)
        await made.dispatcher.idle()
        assert made.bugs == []
