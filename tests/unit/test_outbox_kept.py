"""The outbox of a node with a Job Manager: everything waits for him, in order, without end and without cost."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from job_item.policy import Backoff
from tests.conftest import free_port
from tests.journals import accept, open_journal
from tests.managers import KEY, Manager, Reply, managing
from tests.unit.test_outbox import Audience, Office, write_spool
from tests.unit.test_session import until
from worker import outbox as module
from worker import post as posting
from worker import unheard as waiting
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.session import Session
from worker.journal import SayingKind
from worker.outbox import Outbox
from worker.outgoing import Outgoing
from worker.parcels import Parcels
from worker.post import Post
from worker.unheard import Unheard

FAST = Backoff(0.001, 2.0, 0.01, 0.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REPEATS", FAST)
    monkeypatch.setattr(waiting, "SCOUT_S", 0.02)
    monkeypatch.setattr(posting, "PAUSES", FAST)
    monkeypatch.setattr(posting, "REFUSED_PAUSES", FAST)


@dataclass
class PostOffice(Office):
    """An office that takes results and files, too."""

    outgoing: Outgoing


@asynccontextmanager
async def office(
    path: Path, hub: Hub, *, url: str = "http://127.0.0.1:9", incarnation: str = "first"
) -> AsyncIterator[PostOffice]:
    """All of it, running, with a Job Manager at `url`."""
    journal = open_journal(path, incarnation)
    session = Session(EmbeddedBroker(hub), 60.0)
    parcels = Parcels(path / "parcels")
    parcels.keep(journal.parcels())
    outbox = Outbox(journal, session, path, lambda: 3.0, Post(url, KEY, parcels))
    outgoing = Outgoing(journal, outbox, parcels, lambda: 1 << 30, is_synced=True)
    made = PostOffice(journal, session, outbox, outgoing)
    session.start()
    try:
        yield made
    finally:
        await made.outbox.stop()
        await session.stop()
        await journal.close()


def test_everything_of_a_task_waits_until_somebody_listens_and_comes_in_order(tmp_path: Path) -> None:
    async def play() -> None:
        hub = Hub()
        audience = Audience(hub)
        write_spool(tmp_path, "a", b"all of it")
        async with office(tmp_path, hub) as made:
            await made.say(
                "a", ("who", b"host"), ("note", b"{}"), ("output", b"1:0"), ("failed", b"why"), ("finish", b"error")
            )
            await until(lambda: made.outbox._unheard.tries("a") > waiting.QUICK_TRIES)
            await audience.listen("a")
            await until(made.is_empty)
            await until(lambda: len(audience.heard) == 5)
        assert audience.of("a") == ["_who", ".notif_add", "_process", "_failed", "_finish"]

    asyncio.run(play())


def test_hundreds_that_wait_are_all_told_once_when_somebody_is_back(tmp_path: Path) -> None:
    async def play() -> None:
        hub = Hub()
        audience = Audience(hub)
        names = [f"t{number:04}" for number in range(400)]
        async with office(tmp_path, hub) as made:
            for name in names:
                await made.say(name, ("failed", b"f"), ("finish", b"error"))
            await until(lambda: len(made.outbox._unheard) > 350)
        async with office(tmp_path, hub, incarnation="second") as made:
            await audience.listen(*names)
            await until(lambda: audience.heard, within_s=30)
            await until(made.is_empty, within_s=60)
        for name in names:
            assert audience.of(name) == ["_failed", "_finish"]

    asyncio.run(play())


def test_more_than_fits_into_memory_waits_in_the_journal_and_newcomers_are_tried_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 20)
    monkeypatch.setattr(module, "PAGE", 7)
    monkeypatch.setattr(module, "AGAIN_S", 0.02)

    async def play() -> None:
        hub = Hub()
        audience = Audience(hub)
        await audience.listen("newcomer")
        names = [f"t{number:03}" for number in range(100)]
        async with office(tmp_path, hub) as made:
            for name in names:
                await made.say(name, ("finish", b"finish"))
            await made.say("newcomer", ("finish", b"finish"))
            await until(lambda: audience.of("newcomer") == ["_finish"])
            await until(lambda: len(made.journal.sayings(0, 1000)) == 100)  # what is heard is struck out right after
            assert len(made.outbox._held) <= 20 + 7
            await audience.listen(*names)
            await until(made.is_empty, within_s=60)
            assert sorted(subject for subject, _ in audience.heard if subject != "newcomer_finish") == [
                f"{name}_finish" for name in names
            ]

    asyncio.run(play())


def test_a_manager_who_never_listens_to_notifications_gets_the_status_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KNOCK_S", 0.05)

    async def play() -> None:
        hub = Hub()
        audience = Audience(hub)
        connection = await EmbeddedBroker(hub).connect()
        for name in ("a", "b"):
            await connection.subscribe(f"{name}_finish", None, audience._take)
        kinds: list[tuple[SayingKind, bytes]] = [("note", b"{}"), ("failed", b"f"), ("finish", b"error")]
        async with office(tmp_path, hub) as made:
            await made.say("a", *kinds)
            await until(made.is_empty)
            assert not made.outbox.voice.is_awaited("note")
            assert not made.outbox.voice.is_awaited("failed")
            await made.say("b", *kinds)
            await until(made.is_empty)
            assert made.outbox._unheard.tries("b") == 0
            await audience.listen("c")
            await made.say("c", ("note", b"{}"), ("finish", b"finish"))
            await until(made.is_empty)
            assert made.outbox.voice.is_awaited("note"), "he does now"
        assert [subject for subject, _ in audience.heard[:2]] == ["a_finish", "b_finish"]

    asyncio.run(play())


def test_results_and_files_go_out_before_the_status_when_the_manager_is_back(tmp_path: Path) -> None:
    async def play(manager: Manager) -> None:
        hub = Hub()
        audience = Audience(hub)
        await audience.listen("T1")
        content = random.Random(1).randbytes(300_000)

        async def chunks() -> AsyncIterator[bytes]:
            for begin in range(0, len(content), 65_536):
                yield content[begin : begin + 65_536]

        manager.replies.extend(Reply(503) for _ in range(5))
        async with office(tmp_path, hub, url=manager.url) as made:
            await accept(made.journal, "T1")
            assert await made.outgoing.leave_file("T1", "../report.csv", len(content), chunks())
            assert await made.outgoing.leave_result("T1", b'{"status": "completed"}')
            assert made.outgoing.waiting("T1") == 2
            await made.say("T1", ("finish", b"finish"))
            await until(made.is_empty)
            await until(lambda: audience.of("T1") == ["_finish"])
            assert made.outgoing.waiting("T1") == 0
        (form,) = manager.forms[-1:]
        assert (form.file_name, form.size_bytes) == ("report.csv", len(content))
        assert manager.results[-1] == {"status": "completed"}
        assert not list((tmp_path / "parcels").iterdir())

    with managing() as manager:
        asyncio.run(play(manager))


def test_a_large_file_goes_on_where_it_broke_off_also_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from job_item.sdk import upload
    from tests.managers import Tus

    monkeypatch.setattr(upload, "RESUMABLE_FROM_BYTES", 1 << 20)
    size = 5 << 20

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * (1 << 20)

    async def leave(manager: Manager) -> None:
        async with office(tmp_path, Hub(), url=manager.url) as made:
            await accept(made.journal, "T1")
            assert await made.outgoing.leave_file("T1", "big", size, chunks())
            await until(lambda: manager.tus is not None and any(manager.tus.arrived.values()))

    async def deliver(manager: Manager) -> None:
        async with office(tmp_path, Hub(), url=manager.url, incarnation="second") as made:
            await until(made.is_empty)

    with managing() as manager:
        manager.tus = Tus()
        manager.tus.hang_ups.extend([2 << 20, *(0 for _ in range(1000))])
        asyncio.run(leave(manager))
        manager.tus.hang_ups.clear()
        asyncio.run(deliver(manager))
        (arrived,) = manager.tus.arrived.values()
        assert bytes(arrived) == b"x" * size
        patches = [asked for asked in manager.asked if asked.method == "PATCH"]
        assert int(patches[-1].headers["upload-offset"]) >= 2 << 20


def test_what_the_manager_refuses_is_not_tried_again_and_holds_nothing_up(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def play(manager: Manager) -> None:
        hub = Hub()
        audience = Audience(hub)
        await audience.listen("T1")
        manager.replies.append(Reply(413))
        async with office(tmp_path, hub, url=manager.url) as made:
            await accept(made.journal, "T1")
            await made.outgoing.leave_result("T1", b'{"status": "completed"}')
            await made.say("T1", ("finish", b"finish"))
            await until(lambda: audience.of("T1") == ["_finish"])

    with managing() as manager:
        asyncio.run(play(manager))
        assert len(manager.results) == 1
    assert "ERR-REP-003" in capfd.readouterr().err


def test_results_of_many_tasks_wait_for_a_manager_who_is_away_and_come_once_each(tmp_path: Path) -> None:
    async def play() -> None:
        hub, port = Hub(), free_port()
        names = [f"t{number:04}" for number in range(200)]
        audience = Audience(hub)
        await audience.listen(*names)
        async with office(tmp_path, hub, url=f"http://127.0.0.1:{port}") as made:
            await accept(made.journal, *names)
            for name in names:
                await made.outgoing.leave_result(name, json.dumps({"status": "completed", "of": name}).encode())
                await made.say(name, ("finish", b"finish"))
            assert audience.heard == []
        with managing() as manager:
            async with office(tmp_path, hub, url=manager.url, incarnation="second") as made:
                await until(made.is_empty, within_s=60)
            assert sorted(result["of"] for result in manager.results) == names
        await until(lambda: len(audience.heard) == 200)

    asyncio.run(play())


def test_scouts_take_turns_and_nobody_is_forgotten() -> None:
    async def play() -> None:
        unheard, tried = Unheard(is_patient=True), dict.fromkeys(range(50), 0)

        async def knock(number: int) -> None:
            while await unheard.next_try(str(number)):
                tried[number] += 1

        tasks = [asyncio.create_task(knock(number)) for number in tried]
        await until(lambda: min(tried.values()) > waiting.QUICK_TRIES + 3)
        assert max(tried.values()) - min(tried.values()) < 4
        unheard.let_go(50)
        await asyncio.gather(*tasks)
        unheard.stop()

    asyncio.run(play())
