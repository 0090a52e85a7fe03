"""The file of the journal: who may have it, what is no journal, what an older version left."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from job_item.errors import NodeError, Unavailable
from job_item.job import Status
from tests.journals import EVENT, RERUN, accept, claim, end_of, in_loop, journal_in, open_journal
from worker.journal.schema import MIGRATIONS


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
        assert time.monotonic() - began_s < 4.5  # SQLite itself would wait for five
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
