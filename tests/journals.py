"""Journals for tests: opened in a loop, closed at the end, every job made the same way."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

from job_item.job import Status
from worker.journal import Claim, Journal, Settlement
from worker.recovery import Rules

Parameters = ParamSpec("Parameters")

EVENT = "render"
RERUN = {EVENT: Rules("rerun", 1)}


def in_loop(test: Callable[Parameters, Coroutine[Any, Any, None]]) -> Callable[Parameters, None]:
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def open_journal(path: Path, incarnation: str = "first", on_fatal: Callable[[BaseException], None] = print) -> Journal:
    """Open the journal in a folder, by default as its first owner."""
    loop = asyncio.get_running_loop()
    return Journal.open(path / "journal.sqlite", incarnation=incarnation, loop=loop, on_fatal=on_fatal)


@asynccontextmanager
async def journal_in(path: Path, incarnation: str = "first") -> AsyncIterator[Journal]:
    """A journal that is closed at the end of the context."""
    journal = open_journal(path, incarnation)
    try:
        yield journal
    finally:
        await journal.close()


async def accept(journal: Journal, *task_ids: str, event: str = EVENT) -> None:
    """Take in some jobs."""
    for task_id in task_ids:
        new, _ = await journal.accept(task_id, event, "test", b'{"a":1}', 100.0)
        assert new


async def claim(journal: Journal, task_id: str) -> Claim:
    """Make the next attempt of a job, which must be possible."""
    made = await journal.claim(task_id, 200.0)
    assert made is not None
    return made


def end_of(made: Claim, status: Status = Status.FINISH, **members: Any) -> Settlement:
    """The end of an attempt."""
    return Settlement(made.task_id, made.attempt, made.fence, status, members.pop("finished_at", 300.0), **members)


async def run(journal: Journal, task_id: str, status: Status = Status.FINISH, **members: Any) -> Claim:
    """Take in a job and run it to its end."""
    await accept(journal, task_id)
    made = await claim(journal, task_id)
    assert await journal.settle(end_of(made, status, **members))
    return made
