"""NATS on the wire (protocol job-item.md, section 3.3): a user with few rights, consumers that are too slow, and copies
of messages on loan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from job_item.errors import NodeError, Unavailable
from tests.brokers.inbox import Inbox, lost
from tests.brokers.servers import Access, NatsServer
from tests.brokers.stages import Stage
from worker.brokers import belt
from worker.brokers.queues import Loan


def test_what_a_nats_user_may_not_do_is_said(
    nats: Callable[[Access], NatsServer], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    allowed = '["P.>", "_INBOX.>"]'
    user = f"user: few, password: pw, permissions: {{ publish: {allowed}, subscribe: {allowed} }}"
    monkeypatch.setattr(NatsServer, "more", lambda _: [f"authorization {{ users: [ {{ {user} }} ] }}"])
    stage = Stage("nats-plain", nats("plain"))

    async def scene() -> None:
        here = await stage.broker(user="few", password="pw").connect()
        for subject, group in (("Q.Big", "Q"), ("Q.big", None)):
            with pytest.raises(NodeError) as refused:
                await here.subscribe(subject, group, Inbox())
            assert refused.value.code == "ERR-BRK-003"
        await here.publish("Q.x", b"body-of-message")
        inbox = Inbox()
        await here.subscribe("P.x", "P", inbox)
        await here.publish("P.x", b"still here")
        assert await inbox.until(1) == [b"still here"]
        await here.close()

    asyncio.run(scene())
    said = capfd.readouterr().err
    assert "ERR-BRK-009" in said
    assert "body-of-message" not in said


@pytest.mark.parametrize("stage", ["nats-plain", "redis-plain"], indirect=True)
def test_a_consumer_that_is_too_slow_is_lost_and_not_silently_robbed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(belt, "WAITING_MAX", 100)

    async def scene() -> None:
        here, there = await stage.broker().connect(), await stage.broker().connect()
        slow = Inbox()
        slow.gate.clear()
        await there.subscribe("P.slow", None, slow)
        for number in range(200):
            await here.publish("P.slow", b"%d" % number)
        assert "too slowly" in await lost(there)
        assert not here.lost.done()
        slow.gate.set()
        await here.close()
        await there.close()

    asyncio.run(scene())


@pytest.mark.parametrize("stage", ["nats-durable"], indirect=True)
def test_who_dies_while_a_job_is_put_back_leaves_one_copy_of_it_whoever_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(_: Loan) -> None:
        raise Unavailable("ERR-BRK-002", "dead")

    async def scene() -> None:
        one, other = await stage.broker(lease=600).connect(), await stage.broker(lease=600).connect()
        first, second = one.queues, other.queues
        assert first is not None and second is not None
        queue = await first.open("P.work", 2)
        await first.put("P.work", "T1", b"1")
        async with asyncio.timeout(20):
            (loan,) = await queue.borrow(1)
            monkeypatch.setattr(first, "accept", die)
            with pytest.raises(Unavailable):
                await first.give_back(loan, 0)
            with pytest.raises(Unavailable):
                await first.redeem("P.work", loan.pledge, loan.until_s, is_done=False)
            assert await second.redeem("P.work", loan.pledge, loan.until_s, is_done=False)
            (copy,) = await queue.borrow(1)
        assert (copy.body, copy.runs, copy.losses) == (b"1", 0, 0)  # the first that was put in
        assert copy.delivery > loan.delivery + 1  # which the old message says, where nobody ends it
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await queue.borrow(1)
        await second.accept(copy)
        await queue.close()
        await one.close()
        await other.close()

    asyncio.run(scene())
