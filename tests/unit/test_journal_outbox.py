"""The outbox of the journal: an old file gets one, words stand in it together with what they are about."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from job_item.job import Status
from tests.journals import EVENT, accept, claim, end_of, in_loop, journal_in, run
from worker.journal import Journal, LastWords
from worker.journal.schema import MIGRATIONS
from worker.recovery import Rules

WORDS = LastWords(500.0, b"1:7", b"went wrong")


def said(journal: Journal) -> list[tuple[str, str, bytes, float]]:
    return [saying[1:] for saying in journal.sayings(0, 100)]


@in_loop
async def test_a_journal_of_the_first_version_is_opened_with_all_its_jobs(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as db:
        for statement in MIGRATIONS[0]:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
        db.execute(
            "INSERT INTO tasks(task_id, event, source, body, status, created_at)"
            " VALUES('old', ?, 'local', '{}', 'queued', 1)",
            (EVENT,),
        )
    async with journal_in(tmp_path) as journal:
        assert said(journal) == []
        made = await claim(journal, "old")
        await journal.settle(end_of(made), LastWords(3.0))
        assert said(journal) == [("old", "finish", b"finish", 3.0)]


@in_loop
async def test_the_last_words_are_written_with_the_end_in_their_order(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        made = await claim(journal, "a")
        assert await journal.settle(end_of(made, Status.ERROR), WORDS) is Status.ERROR
        assert said(journal) == [
            ("a", "output", b"1:7", 0.0),
            ("a", "failed", b"went wrong", 0.0),
            ("a", "finish", b"error", 500.0),
        ]
        assert await journal.settle(end_of(made, Status.ERROR), WORDS) is None
        assert len(said(journal)) == 3
        for saying in journal.sayings(0, 2):
            await journal.said(saying.number)
        assert said(journal) == [("a", "finish", b"error", 500.0)]


@in_loop
async def test_of_an_attempt_that_is_followed_by_another_only_the_output_is_said(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        made = await claim(journal, "a")
        await journal.settle(end_of(made, Status.ERROR, retry_at=400.0), WORDS)
        assert said(journal) == [("a", "output", b"1:7", 0.0)]


@in_loop
async def test_a_node_without_a_broker_says_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await run(journal, "a")
        await accept(journal, "b")
        await journal.ask_cancel("b")
        assert said(journal) == []


@in_loop
async def test_a_job_that_waits_ends_as_it_was_asked_to_and_says_so(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        record = await journal.ask_cancel("a", Status.TIMEOUT, LastWords(9.0))
        assert record is not None
        assert record.status is Status.TIMEOUT
        await journal.ask_cancel("a", Status.TERMINATE, LastWords(9.0))
        assert said(journal) == [("a", "finish", b"timeout", 9.0)]


@in_loop
async def test_the_first_wish_for_the_end_of_a_running_job_counts(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a", "b")
        made = await claim(journal, "a")
        await journal.ask_cancel("a", Status.TIMEOUT)
        await journal.ask_cancel("a", Status.TERMINATE)
        assert await journal.settle(end_of(made, Status.TIMEOUT, retry_at=900.0), WORDS) is Status.TIMEOUT
        await claim(journal, "b")
        await journal.ask_cancel("b", Status.TIMEOUT)
    async with journal_in(tmp_path, "second") as journal:
        (recovered,) = await journal.recover({EVENT: Rules("rerun", 5)}, 5.0, LastWords(6.0))
        assert recovered.status is Status.TIMEOUT
        assert said(journal)[-2:] == [
            ("b", "failed", b"The worker died while the job was being ended on request.", 0.0),
            ("b", "finish", b"timeout", 6.0),
        ]


@in_loop
async def test_a_lost_job_that_runs_again_says_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        await claim(journal, "a")
    async with journal_in(tmp_path, "second") as journal:
        await journal.recover({EVENT: Rules("rerun", 1)}, 5.0, LastWords(6.0))
        assert said(journal) == []


@in_loop
async def test_a_note_and_its_message_are_kept_together(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        assert await journal.note("a", 1.0, "hi", b"{}")
        assert not await journal.note("unknown", 1.0, "hi", b"{}")
        assert said(journal) == [("a", "note", b"{}", 0.0)]


@in_loop
async def test_a_job_that_is_forgotten_is_not_spoken_of(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "a")
        await journal.settle(end_of(await claim(journal, "a")), LastWords(0.0))
        await journal.forget(["a"])
        assert said(journal) == []
