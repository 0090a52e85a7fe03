"""The source: what a message becomes, and what happens to it where the node cannot take it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import Unavailable
from job_item.job import Status
from job_item.settings import Job
from tests.boards import standing
from tests.dispatching import Company, company
from tests.journals import in_loop
from tests.unit.test_session import until
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.fleet import Fleet
from worker.followers import Followers
from worker.news import News
from worker.notice import note_body
from worker.outbox import Outbox
from worker.sources import appetite
from worker.sources import broker as module
from worker.sources.broker import BrokerSource

SPEC = Job(event="render", cmd="true")
OTHER = Job(event="other", cmd="true")


@dataclass
class Post:
    """A source with what it hands jobs to, and what became of each message."""

    made: Company
    session: Session
    outbox: Outbox
    source: BrokerSource
    ends: list[str] = field(default_factory=list)

    async def bring(self, event: str, body: bytes | dict[str, Any]) -> None:
        """A message comes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def end(how: str) -> None:
            self.ends.append(how)

        delivery = Delivery(f"P.{event}", raw, lambda: end("accept"), lambda: end("refuse"), lambda: end("give back"))
        await self.source._take(event, delivery)

    def said(self) -> list[tuple[str, str]]:
        """What is to be said."""
        return [(saying.task_id, saying.kind) for saying in self.made.journal.sayings(0, 100)]


@asynccontextmanager
async def post(path: Path, *specs: Job, is_keeper: bool = False, start: bool = True) -> AsyncIterator[Post]:
    """Everything, at work; the outbox only reads."""
    hub = Hub()
    broker = EmbeddedBroker(hub)
    broker.is_keeper = is_keeper
    async with company(path, *(specs or (SPEC,))) as made:
        session = Session(broker, 60.0)
        outbox = Outbox(made.journal, session, path, lambda: 0.0)
        source = BrokerSource(session, made.intake, outbox)
        source.start()
        if start:
            made.dispatcher.start()
        try:
            yield Post(made, session, outbox, source)
        finally:
            await source.drain()
            await outbox.stop()
            await session.stop()


@in_loop
async def test_a_trigger_is_kept_then_accepted_then_run(tmp_path: Path) -> None:
    async with post(tmp_path) as made:
        await made.bring("render", {"task_id": "T1", "data": {"b": 1, "a": 2}})
        assert made.ends == ["accept"]
        assert made.made.journal.body("T1") == b'{"a":2,"b":1}'
        await made.made.play("T1")
        await made.made.until_status("T1", Status.FINISH)
        await made.bring("render", {"task_id": "T1", "data": {"a": 2, "b": 1}})
        assert made.ends == ["accept", "accept"]
        assert made.made.stage.started == ["T1"]
        assert made.said() == []


@in_loop
async def test_what_cannot_be_used_is_refused_counted_and_answered_where_that_is_safe(tmp_path: Path) -> None:
    async with post(tmp_path) as made:
        await made.bring("render", b"nonsense")
        await made.bring("render", {"task_id": "../x"})
        await made.bring("render", {"task_id": "T1", "data": 3})
        await made.bring("unknown", {"task_id": "T2", "data": {}})
        await made.bring("render", {"task_id": "T3", "data": {"a": 1}})
        await made.bring("render", {"task_id": "T3", "data": {"a": 2}})
        assert made.ends == ["refuse"] * 4 + ["accept", "refuse"]
        assert made.source.refused == 5
        assert made.said() == [("T1", "failed"), ("T1", "finish"), ("T2", "failed"), ("T2", "finish")]
        assert [saying.body for saying in made.made.journal.sayings(0, 9) if saying.kind == "finish"] == [b"error"] * 2


@in_loop
async def test_a_full_queue_refuses_new_jobs_and_knows_old_ones(tmp_path: Path) -> None:
    async with post(tmp_path, start=False) as made:
        before = made.made.board.standing
        made.made.board.standing = standing(before=before, jobs=(SPEC,), limits={"queue": 1})
        await made.bring("render", {"task_id": "T1"})
        await made.bring("render", {"task_id": "T2"})
        await made.bring("render", {"task_id": "T1"})
        assert made.ends == ["accept", "refuse", "accept"]
        assert made.said() == [("T2", "failed"), ("T2", "finish")]


@in_loop
async def test_a_broker_that_keeps_jobs_gets_back_what_has_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appetite, "BRIEF_S", 0.0)
    async with post(tmp_path, is_keeper=True) as made:  # two slots
        for number in range(3):
            await made.bring("render", {"task_id": f"T{number}"})
        assert made.ends == ["accept", "accept", "give back"]
        monkeypatch.setattr(appetite, "HOLD_S", 60.0)
        waiting = asyncio.create_task(made.bring("render", {"task_id": "T2"}))
        await made.made.play("T0")
        await waiting
        assert made.ends[-1] == "accept"
        monkeypatch.setattr(appetite, "HOLD_S", 0.0)
        await made.bring("render", {"task_id": "T3"})
        assert made.ends[-1] == "give back"
        made.source.retire()
        await made.bring("render", {"task_id": "T3"})
        assert made.ends[-1] == "accept"


@in_loop
async def test_a_node_without_a_free_slot_stands_behind_the_others_until_it_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appetite, "BRIEF_S", 0.0)
    async with post(tmp_path, SPEC, OTHER, is_keeper=True) as made:  # two slots
        wishes = {event: one.wish for event, one in made.source._appetites.items()}
        await made.bring("render", {"task_id": "T0"})
        both = [made.bring(event, {"task_id": f"T-{event}"}) for event in wishes]
        await asyncio.gather(*both)  # for one slot
        assert sorted(made.ends) == ["accept", "accept", "give back"]
        assert [wish.is_behind for wish in wishes.values()].count(True) == 1
        (behind,) = (event for event, wish in wishes.items() if wish.is_behind)
        assert not any(wish.is_hungry() for wish in wishes.values())
        monkeypatch.setattr(appetite, "HOLD_S", 60.0)
        next_one = asyncio.create_task(made.bring(behind, {"task_id": "T1"}))
        await made.made.play("T0")
        await next_one
        assert made.ends[-1] == "accept"
        assert wishes[behind].is_behind  # no slot is left: what came was the next
        await made.made.play("T1")
        await until(lambda: not wishes[behind].is_behind)


@pytest.mark.parametrize(("is_keeper", "tries"), [(True, 1), (False, 3)])
@in_loop
async def test_what_the_journal_does_not_take_is_given_back_and_where_that_is_not_possible_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_keeper: bool, tries: int, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "JOURNAL_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "JOURNAL_TRIES", 3)
    asked = 0

    async def full(*_: Any) -> Any:
        nonlocal asked
        asked += 1
        raise Unavailable("ERR-STO-001", "The disk is full.")

    async with post(tmp_path, is_keeper=is_keeper) as made:
        monkeypatch.setattr(made.made.journal, "accept", full)
        await made.bring("render", {"task_id": "T1"})
        assert (made.ends, asked) == (["give back"], tries)
    assert ("ERR-SRC-003" in capfd.readouterr().err) is not is_keeper


@in_loop
async def test_subscriptions_follow_the_settings_in_force(tmp_path: Path) -> None:
    async with post(tmp_path, SPEC) as made:
        made.session.start()
        await until(lambda: made.session.state.connected)

        def subscribed() -> set[str]:
            (life,) = made.session.broker._hub.lives  # type: ignore[attr-defined]  # of the embedded broker
            return {one.subject for one in life.subscriptions}

        assert subscribed() == {"local.render"}
        made.made.adopt(SPEC, OTHER)
        made.source.refresh()
        await until(lambda: subscribed() == {"local.render", "local.other"})
        made.made.adopt(OTHER, concurrency=7)
        made.source.refresh()
        await until(lambda: subscribed() == {"local.other"})


@in_loop
async def test_a_job_that_no_node_takes_is_not_accepted_here() -> None:
    hub = Hub()
    session = Session(EmbeddedBroker(hub), 60.0)
    session.start()
    await session.connected()

    class Nobody:
        refused = 0
        refusals = ()

    fleet = Fleet(session, Followers(session, News()), Nobody(), "P")
    with pytest.raises(Unavailable) as caught:
        await fleet.ask("T1", "render", b"{}")
    assert caught.value.code == "ERR-SRC-004"
    assert fleet.followers.record("T1") is None
    await session.stop()


def test_a_notification_is_written_as_the_go_worker_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Singapore")
    time.tzset()
    try:
        assert note_body("a<b", 1735758245.9) == (
            b'{"created_at":"2025-01-02T03:04:05+08:00","msg":"a\\u003cb","status":"process"}'
        )
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert b'"2025-01-01T19:04:05Z"' in note_body("x", 1735758245.0)
    finally:
        monkeypatch.undo()
        time.tzset()
