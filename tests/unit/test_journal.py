"""The journal: what is written comes back, attempts end once, the queue keeps its order."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_item.errors import NodeError, Unavailable
from job_item.job import AttemptRecord, JobRecord, Status, Usage
from tests.journals import EVENT, accept, claim, end_of, in_loop, journal_in, open_journal, run
from worker.journal import Journal, Settlement, Waiting
from worker.journal.operations import NOTES_KEPT
from worker.journal.schema import MIGRATIONS
from worker.journal.tally import count
from worker.recovery import Rules

RERUN = {EVENT: Rules("rerun", 1)}


@in_loop
async def test_a_job_is_accepted_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        new, record = await journal.accept("a", EVENT, "api", b'{"n":1}', 100.0)
        assert (new, record) == (True, JobRecord("a", EVENT, Status.QUEUED, 0, 100.0))
        again, known = await journal.accept("a", "other", "api", b'{"n":2}', 101.0)
        assert (again, known) == (False, record)
        assert journal.body("a") == b'{"n":1}'
        assert journal.record("a") == record
        assert journal.counts()[Status.QUEUED] == 1


@in_loop
async def test_a_claim_makes_the_next_attempt_of_a_queued_job(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        made = await claim(journal, "a")
        assert (made.task_id, made.event, made.source, made.attempt, made.body) == ("a", EVENT, "test", 1, b'{"a":1}')
        assert await journal.claim("a", 201.0) is None
        assert await journal.claim("unknown", 201.0) is None
        record = journal.record("a")
        assert record is not None
        assert (record.status, record.attempt, record.started_at) == (Status.RUNNING, 1, 200.0)
        assert record.attempts == (AttemptRecord(1, made.fence, "first", 200.0),)


@in_loop
async def test_a_settled_attempt_is_kept_as_it_was_told(tmp_path: Path) -> None:
    usage = Usage(0.5, 3_000_000, 7, 5, 2, ("12 bash: exit 3",))
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        made = await claim(journal, "a")
        end = end_of(made, Status.ERROR, exit_code=3, error_code="ERR-RUN-001", error="bad <é>", usage=usage)
        assert await journal.settle(end) is Status.ERROR
        attempt = AttemptRecord(
            1, made.fence, "first", 200.0, 300.0, Status.ERROR, 3, None, "ERR-RUN-001", "bad <é>", usage
        )
        assert journal.record("a") == JobRecord(
            "a", EVENT, Status.ERROR, 1, 100.0, 200.0, 300.0, 3, "ERR-RUN-001", "bad <é>", (attempt,)
        )
        assert journal.result("a", 1) == end.result()
        assert journal.log_bytes == 10
        assert journal.ended == 1


@in_loop
async def test_an_attempt_ends_once_and_only_by_its_own_fence(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        made, other = await claim(journal, "a"), await claim(journal, "b")
        for wrong in (
            end_of(made)._replace(fence=other.fence),
            end_of(made)._replace(attempt=2),
            end_of(made)._replace(task_id="b"),
        ):
            assert await journal.settle(wrong) is None
        assert journal.result("a", 1) is None
        assert await journal.settle(end_of(made)) is Status.FINISH
        first = journal.result("a", 1)
        assert await journal.settle(end_of(made, Status.ERROR)) is None
        assert await journal.settle(end_of(made)) is None
        assert journal.result("a", 1) == first
        assert journal.counts()[Status.FINISH] == 1


@in_loop
async def test_a_retried_job_waits_for_its_moment_and_keeps_its_place(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        made = await claim(journal, "a")
        assert await journal.settle(end_of(made, Status.ERROR, exit_code=1, retry_at=900.0)) is Status.QUEUED
        assert journal.waiting(EVENT, 0, 10) == [Waiting(1, "a", 1, 900.0), Waiting(2, "b", 0, None)]
        record = journal.record("a")
        assert record is not None
        assert (record.finished_at, record.exit_code, len(record.attempts)) == (None, 1, 1)
        again = await claim(journal, "a")
        assert again.attempt == 2
        assert again.fence > made.fence
        running = journal.record("a")
        assert running is not None
        assert (running.exit_code, [attempt.status for attempt in running.attempts]) == (None, [Status.ERROR, None])


@in_loop
async def test_cancelling_ends_a_queued_job_at_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        record = await journal.ask_cancel("a")
        assert record is not None
        assert record.status is Status.TERMINATE
        assert record.finished_at is not None
        assert await journal.claim("a", 1.0) is None
        assert await journal.ask_cancel("a") == record
        assert await journal.ask_cancel("unknown") is None
        await accept(journal, "b")
        late = await journal.ask_cancel("b", Status.TIMEOUT)
        assert late is not None
        assert late.status is Status.TIMEOUT
        assert journal.counts()[Status.TIMEOUT] == 1
        assert journal.waiting(EVENT, 0, 10) == []


@pytest.mark.parametrize("wish", [Status.TERMINATE, Status.TIMEOUT])
@in_loop
async def test_a_running_job_whose_end_is_asked_for_is_not_retried(wish: Status, tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        made = await claim(journal, "a")
        record = await journal.ask_cancel("a", wish)
        assert record is not None
        assert record.status is Status.RUNNING
        await journal.ask_cancel("a", Status.TERMINATE if wish is Status.TIMEOUT else Status.TIMEOUT)
        assert await journal.settle(end_of(made, Status.ERROR, retry_at=900.0)) is wish, "the first wish counts"
        assert journal.waiting(EVENT, 0, 10) == []
        ended = journal.record("a")
        assert ended is not None
        assert (ended.status, ended.finished_at) == (wish, 300.0)


@in_loop
async def test_the_queue_is_read_by_event_in_order_and_in_pieces(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a1", event="a")
        await accept(journal, "b1", event="b")
        await accept(journal, "a2", "a3", event="a")
        assert [job.task_id for job in journal.waiting("a", 0, 2)] == ["a1", "a2"]
        assert [job.task_id for job in journal.waiting("a", 3, 2)] == ["a3"]
        assert journal.waiting_events() == ["a", "b"]
        await claim(journal, "b1")
        assert journal.waiting_events() == ["a"]


@in_loop
async def test_records_are_listed_newest_first_by_status_event_and_page(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        for number in range(6):
            await accept(journal, f"t{number}", event="ab"[number % 2])
        for task_id in ("t0", "t1"):
            await journal.settle(end_of(await claim(journal, task_id)))

        def listed(**wish: object) -> list[str]:
            return [record.task_id for record in journal.records(**wish)]  # type: ignore[arg-type]

        assert listed() == ["t5", "t4", "t3", "t2", "t1", "t0"]
        assert listed(limit=2) == ["t5", "t4"]
        assert listed(before="t4", limit=2) == ["t3", "t2"]
        assert listed(before="unknown") == []
        assert listed(status=Status.FINISH) == ["t1", "t0"]
        assert listed(event="a") == ["t4", "t2", "t0"]
        assert listed(event="a", before="t4", limit=1) == ["t2"]
        assert listed(status=Status.QUEUED, event="b", limit=1) == ["t5"]
        assert listed(status=Status.ERROR) == []


@in_loop
async def test_the_last_notes_of_a_job_are_kept(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        assert not await journal.note("unknown", 1.0, "x")
        assert all(await asyncio.gather(*(journal.note("a", float(n), f"m{n}") for n in range(1, NOTES_KEPT + 4))))
        notes = journal.notes("a")
        assert (len(notes), notes[0].msg, notes[-1].msg) == (NOTES_KEPT, "m4", f"m{NOTES_KEPT + 3}")
        assert [note.msg for note in journal.notes("a", after=notes[-2].number)] == [notes[-1].msg]


@in_loop
async def test_forgetting_takes_ended_jobs_only_and_no_number_is_given_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "waiting")
        made = await run(journal, "ended", usage=Usage(stdout_bytes=5))
        await journal.note("ended", 1.0, "x")
        assert await journal.forget(["ended", "waiting", "unknown"]) == 1
        assert journal.record("ended") is None
        assert journal.result("ended", 1) is None
        assert journal.notes("ended") == []
        assert (journal.counts()[Status.FINISH], journal.log_bytes) == (0, 0)
    async with journal_in(tmp_path, "second") as journal:
        await accept(journal, "ended")
        assert journal.waiting(EVENT, 0, 10)[-1].seq == 3
        assert (await claim(journal, "ended")).fence > made.fence


@in_loop
async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "queued")
        await run(journal, "ended", usage=Usage(stdout_bytes=5))
        counts, record, result = journal.counts(), journal.record("ended"), journal.result("ended", 1)
    async with journal_in(tmp_path, "second") as journal:
        assert journal.counts() == counts
        assert journal.log_bytes == 5
        assert journal.record("ended") == record
        assert journal.result("ended", 1) == result


@in_loop
async def test_what_another_incarnation_left_running_is_recovered(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b", "c")
        await accept(journal, "d", event="gone")
        first = {task_id: await claim(journal, task_id) for task_id in "abcd"}
        await journal.settle(end_of(first["b"]))
        await journal.ask_cancel("c", Status.TIMEOUT)
    async with journal_in(tmp_path, "second") as journal:
        recovered = await journal.recover(RERUN, 500.0)
        assert {job.task_id: job.status for job in recovered} == {
            "a": Status.QUEUED,
            "c": Status.TIMEOUT,
            "d": Status.ERROR,
        }
        assert await journal.recover(RERUN, 501.0) == []
        assert await journal.settle(end_of(first["a"])) is None
        again = await claim(journal, "a")
        assert again.attempt == 2
        assert again.fence > max(made.fence for made in first.values())
        record = journal.record("a")
        assert record is not None
        assert [(attempt.incarnation, attempt.error_code) for attempt in record.attempts] == [
            ("first", "ERR-RUN-020"),
            ("second", None),
        ]


@in_loop
async def test_a_closed_journal_takes_no_more(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    last = asyncio.ensure_future(journal.accept("a", EVENT, "test", b"{}", 1.0))
    await asyncio.sleep(0)
    await asyncio.gather(journal.close(), journal.close())
    assert (await last)[0]
    with pytest.raises(Unavailable, match="closed"):
        await journal.claim("a", 1.0)
    assert os.listdir(tmp_path) == ["journal.sqlite"]


@in_loop
async def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(NodeError) as caught:
        open_journal(tmp_path)
    assert caught.value.code == "ERR-STO-002"
    with pytest.raises(NodeError, match="cannot be opened"):
        open_journal(tmp_path / "absent")


@in_loop
async def test_a_journal_that_somebody_else_writes_can_be_opened_later(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        with pytest.raises(Unavailable, match="locked") as caught:
            open_journal(tmp_path, "second")
        assert caught.value.code == "ERR-STO-001"
        assert time.monotonic() - began_s < 2.0
    async with journal_in(tmp_path, "third") as journal:
        assert journal.record("a") is not None


@in_loop
async def test_what_cannot_be_read_now_is_told_so(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        db = journal._reader._db
        db.set_progress_handler(lambda: 1, 1)
        for read in (journal.record, journal.body, journal.notes):
            with pytest.raises(Unavailable, match="read"):
                read("a")
        with pytest.raises(Unavailable):
            await journal.recover(RERUN, 1.0)
        db.set_progress_handler(None, 1)
        assert journal.record("a") is not None


@in_loop
async def test_what_was_left_running_is_recovered_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        await claim(journal, "a")
        await claim(journal, "b")
    async with journal_in(tmp_path, "second") as journal:
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await journal.recover(RERUN, 500.0)
        assert journal.counts()[Status.RUNNING] == 2
        assert [job.task_id for job in await journal.recover(RERUN, 501.0)] == ["a", "b"]


@in_loop
async def test_the_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(NodeError) as caught:
        open_journal(tmp_path)
    assert caught.value.code == "ERR-STO-003"


@in_loop
async def test_the_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    async with journal_in(tmp_path):
        assert {os.stat(tmp_path / name).st_mode & 0o077 for name in os.listdir(tmp_path)} == {0}


def plan_of(path: Path, query: str, *parameters: object) -> str:
    with sqlite3.connect(path / "journal.sqlite") as db:
        plan = " ".join(row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", parameters))
    db.close()
    return plan


@in_loop
async def test_every_read_of_the_queue_uses_an_index_in_its_order(tmp_path: Path) -> None:
    queries: list[str] = []
    async with journal_in(tmp_path) as journal:
        await run(journal, "a")
        journal._reader._db.set_trace_callback(queries.append)
        journal.record("a")
        journal.records(status=Status.QUEUED, event=EVENT, before="a")
        journal.records(event=EVENT)
        journal.records()
        journal.waiting(EVENT, 0, 10)
        journal.waiting_events()
        journal.oldest_ended(10)
        journal.notes("a")
        journal.result("a", 1)
        await journal.recover(RERUN, 1.0)
        plans = [plan_of(tmp_path, query) for query in queries]
    assert len(plans) > 10
    assert [plan for plan in plans if not re.search("USING (COVERING )?(INDEX|INTEGER PRIMARY KEY)", plan)] == []
    assert [plan for plan in plans if "TEMP B-TREE" in plan] == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["accept", "claim", "finish", "retry", "cancel", "forget", "reopen"]), st.integers(0, 4)),
    max_size=40,
)


@settings(max_examples=30)
@given(steps=STEPS)
def test_the_tally_is_what_counting_would_find(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(_walk(Path(folder), steps))


async def _walk(path: Path, steps: list[tuple[str, int]]) -> None:
    journal, opened = open_journal(path), 0
    for step, number in steps:
        task_id = f"t{number}"
        record = journal.record(task_id)
        match step:
            case "accept":
                await journal.accept(task_id, EVENT, "test", b"{}", 1.0)
            case "claim":
                await journal.claim(task_id, 2.0)
            case "finish" | "retry" if record is not None and record.status is Status.RUNNING:
                await _end(journal, record, retry_at=9.0 if step == "retry" else None)
            case "cancel":
                await journal.ask_cancel(task_id)
            case "forget":
                await journal.forget([task_id])
            case "reopen":
                await journal.close()
                opened += 1
                journal = open_journal(path, f"{opened}")
                await journal.recover(RERUN, 5.0)
        fresh = count(journal._reader._db)
        assert {status: number for status, number in journal.counts().items() if number} == fresh.counts
        assert journal.log_bytes == fresh.log_bytes
    await journal.close()


async def _end(journal: Journal, record: JobRecord, retry_at: float | None) -> None:
    running = record.attempts[-1]
    end = Settlement(record.task_id, running.attempt, running.fence, Status.ERROR, 3.0, retry_at=retry_at)
    await journal.settle(end._replace(usage=Usage(stdout_bytes=running.attempt)))


@in_loop
async def test_a_journal_of_the_first_version_is_brought_up_to_date_with_its_jobs(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        db.execute(
            "INSERT INTO tasks(task_id, event, source, body, status, created_at)"
            " VALUES('old', ?, 'api', x'7b7d', 'queued', 1)",
            (EVENT,),
        )
        db.execute("PRAGMA user_version = 1")
        db.commit()
    async with journal_in(tmp_path) as journal:
        made = await claim(journal, "old")
        assert (made.body, made.trace, made.due_at) == (b"{}", None, 1.0)
        assert await journal.settle(end_of(made)) is Status.FINISH
        await journal.accept("new", EVENT, "api", b"{}", 2.0, "00-abc a=1")
        assert (await claim(journal, "new")).trace == "00-abc a=1"
    async with journal_in(tmp_path, "second") as journal:
        assert journal.counts()[Status.FINISH] == 1


@in_loop
async def test_a_claim_knows_since_when_it_was_due_and_keeps_its_trace(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.accept("a", EVENT, "api", b"{}", 100.0, "00-abc")
        made = await claim(journal, "a")
        assert (made.due_at, made.trace) == (100.0, "00-abc")
        await journal.settle(end_of(made, Status.ERROR, retry_at=150.0))
        again = await claim(journal, "a")
        assert (again.due_at, again.trace) == (150.0, "00-abc")
