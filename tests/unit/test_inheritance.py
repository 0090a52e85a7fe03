"""What a process that died had on loan: what was held back of it is said late, by whoever comes next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from job_item.hardware.query import first_line
from tests.clocks import pass_time
from tests.journals import EVENT, claim, end_of, in_loop, open_journal
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.session import Session
from worker.brokers.stored import Store
from worker.inheritance import BOOT, Inheritance
from worker.journal import Journal, LastWords, Loaned
from worker.returns import Returns

TERM_S = 600.0
SOON_S = 60.0


@dataclass
class Heir:
    """The process that comes next, and what it knows."""

    journal: Journal
    session: Session
    inheritance: Inheritance
    come_again: set[str]
    said: asyncio.Event


@asynccontextmanager
async def heir(path: Path, *, is_away: bool = False, boot: str = "") -> AsyncIterator[Heir]:
    """A process has died with the job `a` on loan and over; its acknowledgement may have arrived, or not."""
    dead = open_journal(path)
    await dead.borrow("a", EVENT, b"{}", 100.0, Loaned(1, pledge="of-a", until_s=TERM_S, boot=boot))
    await dead.settle(end_of(await claim(dead, "a")), LastWords(0.0))
    await dead.close()
    journal = open_journal(path, "second")
    hub = Hub(store=Store(TERM_S))
    hub.is_open = not is_away
    session = Session(EmbeddedBroker(hub), TERM_S)
    come_again: set[str] = set()
    said = asyncio.Event()
    returns = Returns(session, journal, grow=said.set, node="me")
    inheritance = Inheritance(session, journal, returns, term_s=TERM_S, is_held=come_again.__contains__)
    session.start()
    try:
        yield Heir(journal, session, inheritance, come_again, said)
    finally:
        await inheritance.stop()
        await session.stop()
        await journal.close()


@in_loop
async def test_what_was_held_back_is_said_when_the_job_has_not_come_again(tmp_path: Path) -> None:
    async with heir(tmp_path) as at:
        await at.session.connected()
        at.inheritance.take(lambda event: event)
        await pass_time(TERM_S)
        assert at.journal.unsaid() == ["a"]
        await pass_time(TERM_S)
        async with asyncio.timeout(SOON_S):
            await at.said.wait()
        assert [said.task_id for said in at.journal.sayings(0, 10)] == ["a"]
        assert at.journal.unsaid() == []


@in_loop
async def test_of_a_job_that_has_come_again_nothing_is_said_before_it_is_acknowledged(tmp_path: Path) -> None:
    async with heir(tmp_path) as at:
        await at.session.connected()
        at.inheritance.take(lambda event: event)
        at.come_again.add("a")
        await pass_time(TERM_S * 2)
        assert at.journal.unsaid() == ["a"]
        assert at.journal.sayings(0, 10) == []


@in_loop
async def test_the_end_of_a_node_does_not_wait_for_what_may_be_said_later(tmp_path: Path) -> None:
    async with heir(tmp_path) as at:
        await at.session.connected()
        at.inheritance.take(lambda event: event)
        async with asyncio.timeout(SOON_S):
            await at.inheritance.stop()
        await pass_time(TERM_S * 2)
        assert at.journal.unsaid() == ["a"]


@in_loop
async def test_jobs_are_drawn_at_once_where_the_machine_has_been_started_anew(tmp_path: Path) -> None:
    async with heir(tmp_path, boot="before") as at:
        at.inheritance.take(lambda event: event)
        async with asyncio.timeout(SOON_S):
            await at.inheritance.freed()


@in_loop
async def test_jobs_are_drawn_after_a_term_where_the_broker_cannot_be_told(tmp_path: Path) -> None:
    async with heir(tmp_path, is_away=True, boot=first_line(BOOT)) as at:
        at.inheritance.take(lambda event: event)
        freed = asyncio.ensure_future(at.inheritance.freed())
        await pass_time(TERM_S / 2)
        assert not freed.done()
        await pass_time(TERM_S)
        async with asyncio.timeout(SOON_S):
            await freed
