"""The housekeeper: it goes on, whatever stands in its way."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.boards import board, standing
from tests.journals import in_loop, journal_in, run
from worker import housekeeping
from worker.housekeeping import Housekeeper
from worker.journal import Journal
from worker.output import spool_path
from worker.retention import prune


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not look():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.001)


async def until_tidy(housekeeper: Housekeeper, look: Callable[[], bool]) -> None:
    """Have round after round done until `look` says yes."""

    def again() -> bool:
        housekeeper.job_ended()
        return look()

    await until(again)


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_S", 0.01)


def log_of(folder: Path, task_id: str) -> Path:
    return Path(spool_path(str(folder / "logs"), task_id, 1))


async def end_some(journal: Journal, folder: Path, *task_ids: str) -> None:
    for number, task_id in enumerate(task_ids):
        await run(journal, task_id, finished_at=time.time() + number)
        log_of(folder, task_id).parent.mkdir(parents=True, exist_ok=True)
        log_of(folder, task_id).touch()


@in_loop
async def test_a_change_of_keep_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_S", 3600.0)
    async with journal_in(tmp_path) as journal:
        await end_some(journal, tmp_path, "a", "b", "c")
        shown = board(keep={"jobs": 2})
        housekeeper = Housekeeper(journal, tmp_path / "logs", shown)
        housekeeper.start()
        await until(lambda: journal.ended == 2)
        shown.standing = standing(keep={"jobs": 1})
        housekeeper.refresh()
        await until(lambda: journal.ended == 1)
        await housekeeper.stop()


@in_loop
async def test_a_file_that_cannot_be_removed_keeps_nothing_else_and_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with journal_in(tmp_path) as journal:
        await end_some(journal, tmp_path, "a", "b", "c")
        log_of(tmp_path, "a").unlink()
        log_of(tmp_path, "a").mkdir()
        housekeeper = Housekeeper(journal, tmp_path / "logs", board(keep={"jobs": 1}))
        housekeeper.start()
        await until(lambda: journal.ended == 1)
        assert log_of(tmp_path, "a").exists()
        assert "ERR-STO-007" in capfd.readouterr().err
        assert not log_of(tmp_path, "b").exists()
        await end_some(journal, tmp_path, "d")
        housekeeper.job_ended()
        await until(lambda: journal.ended == 1)
        await housekeeper.stop()


@in_loop
async def test_a_round_that_fails_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with journal_in(tmp_path) as journal:
        await end_some(journal, tmp_path, "a", "b")
        housekeeper = Housekeeper(journal, tmp_path / "logs", board(keep={"jobs": 1}))
        failing = iter([RuntimeError("odd"), sqlite3.DatabaseError("odd")])

        async def prune_at_last(*given: object) -> int:
            for error in failing:
                raise error
            return await prune(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(housekeeping, "prune", prune_at_last)
        housekeeper.start()
        await until_tidy(housekeeper, lambda: journal.ended == 1)
        await housekeeper.stop()


@in_loop
async def test_a_journal_that_takes_nothing_is_asked_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await end_some(journal, tmp_path, "a", "b")
        housekeeper = Housekeeper(journal, tmp_path / "logs", board(keep={"jobs": 1}))
        with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            housekeeper.start()
            await until(lambda: not log_of(tmp_path, "a").exists())
        await until_tidy(housekeeper, lambda: journal.ended == 1)
        await housekeeper.stop()


@in_loop
async def test_no_job_grows_old_by_a_clock_that_was_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with journal_in(tmp_path) as journal:
        await end_some(journal, tmp_path, "a", "b")
        rounds: list[float] = []
        ahead_s = 0.0

        def wall() -> float:
            rounds.append(ahead_s)
            return time.time() + ahead_s

        monkeypatch.setattr(housekeeping, "time", SimpleNamespace(time=wall, monotonic=time.monotonic))
        housekeeper = Housekeeper(journal, tmp_path / "logs", board(keep={"days": 7}))
        housekeeper.start()
        await until(lambda: rounds)
        ahead_s = 10 * 86_400.0
        await until_tidy(housekeeper, lambda: rounds.count(ahead_s) > 3)
        await housekeeper.stop()
        assert journal.ended == 2
