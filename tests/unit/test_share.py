"""Share data in a journal: kept over the death of a worker, dropped when their time has come."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from job_item.errors import Unavailable
from tests.journals import accept, in_loop, journal_in, run
from worker import share as share_module
from worker import shelves as shelves_module
from worker.journal import Journal, Share
from worker.share import Shares, rest_of


async def until_numbers(journal: Journal, *numbers: int) -> None:
    """Let the loop turn until the journal has these and no others."""
    async with asyncio.timeout(60):
        while [share.number for share in journal.shares()] != list(numbers):  # noqa: ASYNC110 - the file has no event
            await asyncio.sleep(0.005)


@in_loop
async def test_what_was_added_is_there_for_the_next_worker(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        shares = Shares(journal)
        await asyncio.gather(*(shares.add("T1", "k", text, None) for text in "abc"))
        await shares.add("T1", "a/b é", "x" * 100_000, 3600.0)
        assert shares.texts("T1", "k") == ["a", "b", "c"]
    async with journal_in(tmp_path, "second") as journal:
        shares = Shares(journal)
        assert shares.texts("T1", "k") == ["a", "b", "c"]
        assert shares.texts("T1", "a/b é") == ["x" * 100_000]
        await shares.add("T1", "k", "d", None)
        assert shares.texts("T1", "k") == ["a", "b", "c", "d"]
        await shares.stop()


@in_loop
async def test_what_has_expired_leaves_the_journal_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_module, "GATHER_S", 0.01)
    async with journal_in(tmp_path) as journal:
        shares = Shares(journal)
        await shares.add("T1", "k", "long", 3600.0)
        await shares.add("T1", "k", "short", 0.02)
        await until_numbers(journal, 1)
        assert shares.texts("T1", "k") == ["long"]
        await shares.stop()


@in_loop
async def test_what_expired_while_nobody_was_there_is_not_seen_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await journal.share(Share(1, "T1", "k", "old", 60.0, 1000.0))
        await journal.share(Share(2, "T1", "k", "stays"))
        shares = Shares(journal)
        shares.start()
        assert shares.texts("T1", "k") == ["stays"]
        await shares.stop()


@pytest.mark.parametrize(
    ("ttl_s", "expires_at", "rest_s"),
    [(None, None, None), (60.0, 1030.0, 30.0), (60.0, 900.0, 0.0), (60.0, 99_999.0, 60.0)],
)
def test_a_clock_that_was_set_neither_kills_nor_prolongs_beyond_the_whole(
    ttl_s: float | None, expires_at: float | None, rest_s: float | None
) -> None:
    assert rest_of(Share(1, "T1", "k", "x", ttl_s, expires_at), 1000.0) == rest_s


@in_loop
async def test_the_data_go_some_time_after_their_task_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_module, "GATHER_S", 0.005)
    monkeypatch.setattr(shelves_module, "LINGER_S", 0.03)
    async with journal_in(tmp_path) as journal:
        await run(journal, "ended")
        await accept(journal, "waiting")
        shares = Shares(journal)
        for task_id in ("ended", "waiting", "unknown"):
            await shares.add(task_id, "k", "x", None)
        await until_numbers(journal, 2)
        assert (shares.texts("ended", "k"), shares.texts("waiting", "k")) == ([], ["x"])
        await shares.stop()


@in_loop
async def test_a_journal_that_takes_nothing_leaves_nothing_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal_in(tmp_path) as journal:
        shares = Shares(journal)
        await shares.add("T1", "k", "first", None)
        with sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await shares.add("T1", "k", "x" * 400_000, None)
            other.execute("ROLLBACK")
        other.close()
        assert shares.texts("T1", "k") == ["first"]
        for _ in range(2):
            await shares.add("T1", "k", "x" * 400_000, None)
        await shares.stop()
