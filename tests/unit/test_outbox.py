"""The outbox: everything is said, in order, until somebody has it; an outage or a kill only delays it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from job_item.policy import Backoff
from tests.journals import in_loop, open_journal
from tests.unit.test_session import until
from worker import outbox as module
from worker import subjects
from worker import unheard as waiting
from worker.brokers.embedded import EmbeddedBroker, EmbeddedLife, EmbeddedSubscription, Hub
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.journal import Journal
from worker.outbox import Outbox
from worker.output import spool_path


@dataclass
class Office:
    """A journal, a connection and an outbox."""

    journal: Journal
    session: Session
    outbox: Outbox

    async def say(self, task_id: str, *words: tuple[str, bytes], due_at: float = 0.0) -> None:
        await self.journal.say(task_id, *words, due_at=due_at)  # type: ignore[arg-type]  # kinds as text
        self.outbox.grow()

    def is_empty(self) -> bool:
        return not self.journal.sayings(0, 1)


@asynccontextmanager
async def office(path: Path, hub: Hub, settle_s: float = 3.0, incarnation: str = "first") -> AsyncIterator[Office]:
    """All of it, running."""
    journal = open_journal(path, incarnation)
    session = Session(EmbeddedBroker(hub), 60.0)
    made = Office(journal, session, Outbox(journal, session, path, lambda: settle_s))
    session.start()
    try:
        yield made
    finally:
        await made.outbox.stop()
        await session.stop()
        await journal.close()


class Audience:
    """Hears everything of some tasks."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.heard: list[tuple[str, bytes]] = []
        self.connection: EmbeddedLife

    async def listen(self, *task_ids: str) -> None:
        if not hasattr(self, "connection") or self.connection.lost.done():
            self.connection = await EmbeddedBroker(self.hub).connect()
        for task_id in task_ids:
            for subject in (subjects.who, subjects.process, subjects.failed, subjects.finish, subjects.note):
                await self.connection.subscribe(subject(task_id), None, self._take)

    async def _take(self, delivery: Delivery) -> None:
        self.heard.append((delivery.subject, delivery.body))

    def of(self, task_id: str) -> list[str]:
        return [subject.removeprefix(task_id) for subject, _ in self.heard if subject.startswith(task_id)]


def write_spool(logs: Path, task_id: str, data: bytes) -> None:
    spool = Path(spool_path(str(logs), task_id, 1))
    spool.parent.mkdir(parents=True)
    spool.write_bytes(data)


@in_loop
async def test_what_is_said_of_a_task_keeps_its_order(tmp_path: Path) -> None:
    hub = Hub()
    audience = Audience(hub)
    await audience.listen("a")
    write_spool(tmp_path, "a", b"skip" + b"x" * 3_000_000)
    async with office(tmp_path, hub) as made:
        await made.say("a", ("who", b"host"), ("output", b"1:4"), ("failed", b"why"), ("finish", b"error"))
        await until(made.is_empty)
    await until(lambda: "_finish" in audience.of("a"))
    assert list(dict.fromkeys(audience.of("a"))) == ["_who", "_process", "_failed", "_finish"]
    assert b"".join(body for subject, body in audience.heard if subject == "a_process") == b"x" * 3_000_000
    assert ("a_finish", b"error") in audience.heard


@in_loop
async def test_a_status_is_repeated_until_somebody_has_it_and_then_never_again(tmp_path: Path) -> None:
    hub = Hub()
    audience = Audience(hub)
    async with office(tmp_path, hub) as made:
        await made.say("a", ("finish", b"finish"))
        await until(lambda: made.outbox._unheard)
        await audience.listen("a")
        await until(made.is_empty)
        await until(lambda: audience.heard)
        for _ in range(200):
            await asyncio.sleep(0.001)
    assert audience.heard == [("a_finish", b"finish")]


@in_loop
async def test_a_status_that_nobody_wants_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "REPEATS", Backoff(0.001, 1.0, 0.001, 0.0))
    async with office(tmp_path, Hub()) as made:
        await made.say("a", ("finish", b"finish"))
        await until(made.is_empty)
        await made.outbox.cleared("a")
    assert "ERR-REP-100" in capfd.readouterr().err


@in_loop
async def test_of_too_many_that_nobody_wants_the_oldest_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "JOBS_MAX", 3)
    hub = Hub()
    audience = Audience(hub)
    async with office(tmp_path, hub) as made:
        for number in range(8):
            await made.say(f"t{number}", ("finish", b"finish"))
        await until(lambda: len(made.journal.sayings(0, 100)) == 3)
        await audience.listen(*(saying.task_id for saying in made.journal.sayings(0, 100)))
        await until(made.is_empty)
        await until(lambda: len(audience.heard) == 3)


def test_what_nobody_wants_is_tried_soon_and_all_of_it_together_no_oftener_than_it_may() -> None:
    assert waiting.pause_s(1, 1) < 0.2
    assert all(
        rivals / waiting.pause_s(tries, rivals) <= waiting.TRIES_PER_S
        for tries in range(1, waiting.TRIES)
        for rivals in (1, 10, 100, waiting.JOBS_MAX)
    )


@in_loop
async def test_a_status_waits_for_its_moment_and_no_longer_than_it_may(tmp_path: Path) -> None:
    hub = Hub()
    audience = Audience(hub)
    await audience.listen("a", "b")
    async with office(tmp_path, hub, settle_s=0.2) as made:
        begun_s = time.monotonic()
        await made.say("a", ("finish", b"finish"), due_at=time.time() + 0.15)
        await made.say("b", ("finish", b"finish"), due_at=time.time() + 1e6)  # the clock was set back since
        await until(made.is_empty)
        assert time.monotonic() - begun_s >= 0.14


@dataclass(slots=True)
class Clock(Hub):
    """Knows when each message came to the broker: who takes it may have its turn later."""

    moments: list[tuple[str, float]] = field(default_factory=list)

    def pass_on(self, subject: str, body: bytes, keep_out: EmbeddedSubscription | None = None) -> int:
        taken = Hub.pass_on(self, subject, body, keep_out)
        if taken:
            self.moments.append((subject, time.monotonic()))
        return taken


@in_loop
async def test_a_status_waits_for_who_though_the_broker_was_away_when_the_job_began(tmp_path: Path) -> None:
    hub = Clock()
    audience = Audience(hub)
    async with office(tmp_path, hub, settle_s=0.2) as made:
        await made.session.connected()
        hub.stop()
        await made.say("a", ("who", b"host"))
        await made.say("a", ("finish", b"finish"), due_at=1.0)
        hub.is_open = True
        await audience.listen("a")
        await until(made.is_empty)
    (who, who_s), (finish, finish_s) = hub.moments
    assert (who, finish) == (subjects.who("a"), subjects.finish("a"))
    assert finish_s - who_s >= 0.19


@in_loop
async def test_what_is_said_during_an_outage_is_heard_after_it(tmp_path: Path) -> None:
    hub = Hub()
    audience = Audience(hub)
    async with office(tmp_path, hub) as made:
        await until(lambda: made.session.state.connected)
        hub.stop()
        for number in range(50):
            await made.say(f"t{number}", ("who", b"h"), ("failed", b"f"), ("finish", b"error"))
        hub.is_open = True
        await audience.listen(*(f"t{number}" for number in range(50)))
        await until(made.is_empty)
        await until(lambda: len(audience.heard) == 150)
    for number in range(50):
        assert audience.of(f"t{number}")[:3] == ["_who", "_failed", "_finish"] or number < 10


@in_loop
async def test_what_a_killed_process_has_not_said_its_successor_says(tmp_path: Path) -> None:
    hub = Hub()
    audience = Audience(hub)
    async with office(tmp_path, hub) as made:
        await made.session.connected()
        hub.stop()
        await made.say("a", ("failed", b"why"), ("finish", b"error"))
        await made.say("b", ("note", b"{}"))
    hub.is_open = True
    await audience.listen("a", "b")
    async with office(tmp_path, hub, incarnation="second") as made:
        await until(made.is_empty)
        await until(lambda: len(audience.heard) == 3)
    assert audience.of("a") == ["_failed", "_finish"]


@in_loop
async def test_a_long_backlog_is_read_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 20)
    monkeypatch.setattr(module, "PAGE", 7)
    hub = Hub(is_open=False)
    audience = Audience(hub)
    async with office(tmp_path, hub) as made:
        for number in range(200):
            await made.say(f"t{number}", ("failed", b"f"), ("finish", b"error"))
        assert made.outbox.is_full
        hub.is_open = True
        await audience.listen(*(f"t{number}" for number in range(200)))
        await until(made.is_empty)
        await until(lambda: len(audience.heard) == 400)
        assert made.outbox.is_clear("t1")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_to_the_broker_each_task_is_told_whole_and_in_order(tmp_path: Path, seed: int) -> None:
    """A random history: connections break, the process is replaced, and still each status is heard, last."""

    async def play() -> None:
        chance, hub, count = random.Random(seed), Hub(), 0
        audience = Audience(hub)
        names = [f"x{number:03}" for number in range(40)]
        for incarnation in range(3):
            async with office(tmp_path, hub, incarnation=f"i{incarnation}") as made:
                while count < (incarnation + 1) * 13:
                    match chance.randrange(4):
                        case 0 if hub.is_open:
                            hub.stop()
                        case 1:
                            hub.is_open = True
                        case _:
                            await made.say(names[count], ("failed", b"f"), ("finish", b"error"))
                            count += 1
                    if hub.is_open:
                        await audience.listen(*names)
                    await asyncio.sleep(chance.random() * 0.01)
        hub.is_open = True
        await audience.listen(*names)
        async with office(tmp_path, hub, incarnation="last") as made:
            await until(made.is_empty)
        for name in names[:count]:
            told = audience.of(name)
            assert told[-1] == "_finish", (name, told)
            assert "_failed" in told[: told.index("_finish")], (name, told)

    asyncio.run(play())
