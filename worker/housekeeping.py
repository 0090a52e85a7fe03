"""Keeps the past within its bounds: at the start, and now and then while jobs end. An idle node is left in peace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from job_item.errors import Unavailable
from job_item.log import get
from worker.journal import Ended, Journal
from worker.output import spool_path
from worker.retention import ClockWatch, prune
from worker.standing import Board

PAUSE_S = 60.0
"""At most one round in this time."""


class Housekeeper:
    """Drops ended jobs and their output as `keep` says."""

    def __init__(self, journal: Journal, logs: Path, board: Board) -> None:
        self._journal = journal
        self._logs = logs
        self._board = board
        self._clock = ClockWatch()
        self._due = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look once now, and after `job_ended` from then on."""
        self._due.set()
        self._task = asyncio.create_task(self._work())

    def job_ended(self) -> None:
        """There is one more job of the past."""
        self._due.set()

    def refresh(self) -> None:
        """Look at once: `keep` has changed."""
        self._due.set()
        self._urgent.set()

    async def stop(self) -> None:
        """Leave things as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            self._urgent.clear()
            try:
                now = self._clock.trusted(time.time(), time.monotonic())
                await prune(self._journal, self._board.standing.settings.keep, now, self._remove_logs)
            except Unavailable as error:
                get("worker").warning("journal.not_pruned", code=error.code, reason=error.message)
            except Exception as error:
                get("worker").error("journal.not_pruned", code="ERR-HST-003", reason=repr(error), exc_info=error)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), PAUSE_S)

    def _remove_logs(self, jobs: Sequence[Ended]) -> None:
        for job in jobs:
            for attempt in range(1, job.attempt + 1):
                path = spool_path(str(self._logs), job.task_id, attempt)
                for file in (path, f"{path}.idx"):
                    _remove(file, job.task_id)


def _remove(file: str, task_id: str) -> None:
    """Remove a file if that is possible: one that stays must not keep the others."""
    try:
        Path(file).unlink(missing_ok=True)
    except OSError as error:
        get("worker").warning("log.not_removed", code="ERR-STO-007", task_id=task_id, path=file, reason=error.strerror)
