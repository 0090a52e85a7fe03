"""A worker in small: takes jobs into the journal, runs and settles them, and tells each thing that the journal has.

`python -m tests.journal_driver FOLDER INCARNATION` goes on until it is killed at the fault point of `JOB_ITEM_FAULT`,
or until it has done `ROUNDS` rounds. What it tells on its standard output is a promise.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from job_item.job import Status
from worker.faults import FaultPoints
from worker.journal import Claim, Journal, LastWords, Loaned, Settlement, Share
from worker.recovery import Rules

EVENT = "work"
RULES = {EVENT: Rules("rerun", 1)}
ROUNDS, LANES = 6, 3


def tell(*words: object) -> None:
    """Make a promise: one line, written at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def end_of(made: Claim, retry_at: float | None = None) -> Settlement:
    """The end that an attempt comes to, always the same."""
    status = Status.FINISH if retry_at is None else Status.ERROR
    return Settlement(made.task_id, made.attempt, made.fence, status, 3.0, exit_code=made.attempt, retry_at=retry_at)


async def attempt(journal: Journal, task_id: str, retry_at: float | None = None) -> None:
    """Run one attempt of a job."""
    made = await journal.claim(task_id, 2.0)
    assert made is not None
    tell("claimed", task_id, made.attempt, made.fence)
    assert await journal.settle(end_of(made, retry_at))
    result = journal.result(task_id, made.attempt)
    assert result is not None
    tell("settled", task_id, made.attempt, result.hex())


async def share(journal: Journal, number: int, task_id: str) -> None:
    """Share something under a task, and take some of it away again."""
    await journal.share(Share(number, task_id, "k", f"text of {task_id}"))
    tell("shared", task_id)
    if number % 2:
        tell("unsharing", task_id)
        await journal.unshare([number])
        tell("unshared", task_id)


async def speak(journal: Journal, task_id: str) -> None:
    """Have two things to say of a task, and say the first."""
    await journal.say(task_id, ("who", b"first"), ("failed", task_id.encode()))
    tell("saying", task_id)
    own = [saying for saying in journal.sayings(0, 10_000) if saying.task_id == task_id]
    await journal.said(own[0].number)
    tell("said", task_id)


async def lend(journal: Journal, task_id: str) -> None:
    """Borrow a job, leave it, borrow it again and come to its end."""
    for delivery in (1, 2):
        new, record = await journal.borrow(task_id, EVENT, b"{}", 1.0, Loaned(delivery, delivery - 1))
        assert new
        assert record.status is Status.QUEUED
        tell("borrowed", task_id)
        await journal.prolong(task_id, 2.0)
        if delivery == 1:
            assert await journal.leave(task_id, 1.5)
    made = await journal.claim(task_id, 2.0)
    assert made is not None
    assert await journal.settle(end_of(made), LastWords(0.0))
    tell("owning", task_id)
    await journal.own(task_id)
    tell("owned", task_id)


async def bury(journal: Journal, task_id: str) -> None:
    """Give a job up, try it again, give it up again and drop it."""
    await journal.accept(task_id, EVENT, "test", b"{}", 1.0)
    for _ in range(2):
        assert await journal.give_up(task_id, "ERR-DLV-004", "lost", 2.0, is_dead=True)
        tell("buried", task_id)
        tell("digging", task_id)
        assert await journal.revive(task_id)
    assert await journal.give_up(task_id, "ERR-DLV-004", "lost", 2.0, is_dead=True)
    assert await journal.drop(task_id)
    tell("dropped", task_id)


async def lane(journal: Journal, name: str, numbers: Iterator[int]) -> None:
    """Do everything that a journal can do, again and again."""
    for number in range(ROUNDS):
        task_id, other = f"{name}-{number}", f"{name}-{number}-cancelled"
        for one in (task_id, other):
            new, _ = await journal.accept(one, EVENT, "test", b"{}", 1.0)
            assert new
            tell("accepted", one)
        assert await journal.note(task_id, 1.5, f"note of {task_id}")
        tell("noted", task_id)
        await share(journal, next(numbers), task_id)
        await speak(journal, task_id)
        await lend(journal, f"{name}-{number}-lent")
        await bury(journal, f"{name}-{number}-dead")
        await attempt(journal, task_id, retry_at=2.5)
        await attempt(journal, task_id)
        assert await journal.ask_cancel(other)
        tell("cancelled", other)
        if number % 2:
            tell("forgetting", task_id)
            assert await journal.forget([task_id]) == 1


async def main(folder: Path, incarnation: str) -> None:
    """Recover what a predecessor left, then work."""
    died: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    journal = Journal.open(
        folder / "journal.sqlite",
        incarnation=incarnation,
        loop=asyncio.get_running_loop(),
        on_fatal=died.set_result,
        faults=FaultPoints.from_environ(os.environ),
    )
    await journal.recover(RULES, 4.0)
    numbers = count(max((share.number for share in journal.shares()), default=0) + 1)
    await asyncio.gather(*(lane(journal, f"{incarnation}-{number}", numbers) for number in range(LANES)))
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
