"""The writer of the journal: groups, failures that stay alone, a full disk, and its death."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from job_item.errors import Bug, Unavailable
from job_item.job import Status
from tests.conftest import eventually
from tests.journals import EVENT, accept, in_loop, journal_in, open_journal
from worker.journal import Journal
from worker.journal.operations import Accept
from worker.journal.tally import Change
from worker.journal.writer import FOLD_AFTER


class Broken(NamedTuple):
    """An operation that writes something and then fails."""

    task_id: str
    error: BaseException
    write: str = "accept"

    def apply(self, db: sqlite3.Cursor) -> tuple[None, tuple[Change, ...]]:
        Accept(self.task_id, EVENT, "test", b"{}", 1.0).apply(db)
        raise self.error


def accepting(journal: Journal, task_id: str) -> asyncio.Future[Any]:
    return journal._writer.submit(Accept(task_id, EVENT, "test", b"{}", 1.0))


@in_loop
async def test_what_waits_is_committed_as_one_group(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        statements: list[str] = []
        journal._writer._db.set_trace_callback(statements.append)
        await asyncio.gather(*(accepting(journal, f"t{number}") for number in range(100)))
        assert statements.count("COMMIT") < 20
        assert journal.counts()[Status.QUEUED] == 100


@in_loop
async def test_a_bad_operation_fails_alone_and_leaves_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        before, bad, after = (
            accepting(journal, "before"),
            journal._writer.submit(Broken("bad", ValueError("odd"))),
            accepting(journal, "after"),
        )
        with pytest.raises(Bug, match="odd"):
            await bad
        assert (await before)[0]
        assert (await after)[0]
        assert journal.record("bad") is None
        assert journal.counts()[Status.QUEUED] == 2


@in_loop
async def test_a_full_disk_is_told_and_the_journal_goes_on_when_there_is_room(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await accept(journal, "first")
        db = journal._writer._db
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable, match="full") as caught:
            await journal.accept("big", EVENT, "test", b" " * 100_000, 1.0)
        assert caught.value.code == "ERR-STO-001"
        assert journal.trouble == caught.value.message
        assert journal.record("big") is None
        db.execute("PRAGMA max_page_count = 100000")
        assert (await journal.accept("big", EVENT, "test", b" " * 100_000, 1.0))[0]
        assert journal.trouble is None
        assert journal.counts()[Status.QUEUED] == 2


@in_loop
async def test_a_journal_that_somebody_else_writes_refuses_a_group_at_once(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            statements: list[str] = []
            journal._writer._db.set_trace_callback(statements.append)
            began_s = time.monotonic()
            waiting = [accepting(journal, f"t{number}") for number in range(100)]
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {getattr(result, "code", None) for result in results} == {"ERR-STO-001"}
            assert statements == ["BEGIN IMMEDIATE"]
            assert time.monotonic() - began_s < 4.5  # SQLite itself would wait for five
        assert (await accepting(journal, "later"))[0]
        assert journal.counts()[Status.QUEUED] == 1


@pytest.mark.parametrize("sync", ["normal", "full"])
@in_loop
async def test_who_goes_on_first_counts_what_the_whole_group_has_changed(
    sync: Literal["normal", "full"], tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    journal = Journal.open(tmp_path / "journal.sqlite", incarnation="x", loop=loop, on_fatal=print, sync=sync)
    counted: list[int] = []

    async def take_in(task_id: str) -> None:
        await accepting(journal, task_id)
        counted.append(journal.queued)

    await asyncio.gather(*(take_in(f"t{number}") for number in range(3)))
    assert counted == [3, 3, 3]
    await journal.close()


@in_loop
async def test_a_caller_that_goes_away_disturbs_nobody(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        gone = asyncio.ensure_future(journal.accept("gone", EVENT, "test", b"{}", 1.0))
        await asyncio.sleep(0)
        gone.cancel()
        await accept(journal, "stays")
        assert journal.counts()[Status.QUEUED] == 2
        assert journal.record("gone") is not None


@in_loop
async def test_the_death_of_the_writer_is_fatal_and_leaves_no_caller_waiting(tmp_path: Path) -> None:
    fatal: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    journal = open_journal(tmp_path, on_fatal=fatal.set_result)
    death = SystemExit("no more")
    waiting = [journal._writer.submit(Broken("a", death)), accepting(journal, "b")]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [Bug, Bug]
    assert await fatal is death
    with pytest.raises(Bug, match="no more"):
        await journal.accept("c", EVENT, "test", b"{}", 1.0)
    await journal.close()


@in_loop
async def test_the_log_is_folded_into_the_file_in_the_first_pause(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        file = tmp_path / "journal.sqlite"
        unfolded_bytes = file.stat().st_size
        await asyncio.gather(*(accepting(journal, f"t{number}") for number in range(FOLD_AFTER)))
        await asyncio.to_thread(eventually, lambda: file.stat().st_size > unfolded_bytes, what="the file has grown")
        await accept(journal, "more")


@pytest.mark.parametrize(("sync", "level"), [("normal", 1), ("full", 2)])
@in_loop
async def test_sync_says_what_a_commit_survives(sync: Literal["normal", "full"], level: int, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    journal = Journal.open(tmp_path / "journal.sqlite", incarnation="x", loop=loop, on_fatal=print, sync=sync)
    assert journal._writer._db.execute("PRAGMA synchronous").fetchone() == (level,)
    await accept(journal, "a")
    await journal.close()
