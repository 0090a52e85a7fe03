"""Redis on the wire (protocol job-item.md, section 3.5): locks, users with few rights, a consumer that is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from job_item.errors import NodeError
from tests.brokers.inbox import Inbox
from tests.brokers.servers import Access, RedisServer, redis_says
from tests.brokers.stages import Stage
from tests.conftest import ROOT
from worker.brokers.redis.subscription import LOCK_S, lock_key

BODY = b'{"task_id":"T1","data":{"a":"x"}}'
LOCK = "lock:P.send_email:P:7b227461736b5f6964223a225431222c2264617461223a7b2261223a2278227d7d"


def test_the_lock_of_redis_is_that_of_the_protocol() -> None:
    assert lock_key("P.send_email", "P", BODY).decode() == LOCK


def test_a_redis_message_is_taken_under_its_lock_which_stays(
    redis: Callable[[Access], RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LOCK_S == 5
    monkeypatch.setattr("worker.brokers.redis.life.LOCK_S", 600)  # no stall of this machine outlives it
    stage = Stage("redis-plain", redis("plain"))
    port = stage.settings()["port"]

    async def scene() -> None:
        here = await stage.broker().connect()
        inbox = Inbox()
        await here.subscribe("P.send_email", "P", inbox)
        await here.publish("P.send_email", BODY)
        await inbox.until(1)
        assert redis_says(port, "GET", LOCK) == b"$1\r\n1\r\n"
        assert 0 < int(redis_says(port, "TTL", LOCK).removeprefix(b":")) <= 600
        await here.publish("P.send_email", BODY)  # the same within its time is for nobody
        await here.publish("P.send_email", b"other")
        assert await inbox.until(2) == [BODY, b"other"]
        await here.close()

    asyncio.run(scene())


def test_a_redis_message_whose_lock_another_worker_has_is_left_to_it(redis: Callable[[Access], RedisServer]) -> None:
    stage = Stage("redis-plain", redis("plain"))
    assert redis_says(stage.settings()["port"], "SET", LOCK, "1", "EX", "600", "NX") == b"+OK\r\n"

    async def scene() -> None:
        here = await stage.broker().connect()
        grouped, single = Inbox(), Inbox()
        await here.subscribe("P.send_email", "P", grouped)
        await here.subscribe("P.send_email", None, single)
        await here.publish("P.send_email", BODY)
        await here.publish("P.send_email", b"end")
        assert await grouped.until(1) == [b"end"]
        assert await single.until(2) == [BODY, b"end"]
        await here.close()

    asyncio.run(scene())


def test_a_lock_that_redis_refuses_for_a_moment_is_asked_for_again(
    redis: Callable[[Access], RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.brokers.redis.life.LOCK_S", 600)  # as long as the moment may be
    stage = Stage("redis-plain", redis("plain"))
    port = stage.settings()["port"]

    async def scene() -> None:
        here = await stage.broker().connect()
        inbox = Inbox()
        await here.subscribe("P.send_email", "P", inbox)
        redis_says(port, "CONFIG", "SET", "maxmemory", "1")
        await here.publish("P.send_email", BODY)
        await here.probe(5)
        assert inbox.bodies == []
        redis_says(port, "CONFIG", "SET", "maxmemory", "0")
        assert await inbox.until(1) == [BODY]
        await here.close()

    asyncio.run(scene())


def test_what_a_redis_user_may_not_do_is_said(
    redis: Callable[[Access], RedisServer], capfd: pytest.CaptureFixture[str]
) -> None:
    stage = Stage("redis-plain", redis("plain"))
    rules = ["on", ">pw", "~lock:*", "&P.*", "&job_item.probe.*", "+@all"]
    redis_says(stage.settings()["port"], "ACL", "SETUSER", "few", *rules)

    async def scene() -> None:
        here = await stage.broker(user="few", password="pw").connect()
        with pytest.raises(NodeError) as refused:
            await here.subscribe("Q.x", "Q", Inbox())
        assert refused.value.code == "ERR-BRK-003"
        assert not await here.deliver("Q.x", b"body-of-message")
        await here.publish("Q.x", b"body-of-message")
        await here.probe(5)
        assert not here.lost.done()
        await here.close()

    asyncio.run(scene())
    said = capfd.readouterr().err
    assert said.count("ERR-BRK-009") == 2
    assert "body-of-message" not in said


def test_the_permissions_of_the_manual_are_enough_for_redis(redis: Callable[[Access], RedisServer]) -> None:
    stage = Stage("redis-plain", redis("plain"))
    manual = (ROOT / "docs" / "brokers.md").read_text()
    line = next(line for line in manual.splitlines() if line.startswith("user worker on"))
    assert redis_says(stage.settings()["port"], "ACL", "SETUSER", *line.split()[1:]) == b"+OK\r\n"

    async def scene() -> None:
        here = await stage.broker(user="worker", password="secret", db=1).connect()
        inbox = Inbox()
        subscription = await here.subscribe("P.e", "P", inbox)
        assert await here.deliver("P.e", BODY)
        assert await inbox.until(1) == [BODY]
        await subscription.cancel()
        await here.probe(5)
        await here.close()

    asyncio.run(scene())


def test_a_queue_that_is_closed_before_its_question_waits_at_the_server_lets_go_of_it_at_once(
    redis: Callable[[Access], RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.brokers.redis.queues.ANSWER_S", 600.0)
    stage = Stage("redis-durable", redis("durable"))

    async def scene() -> None:
        here = await stage.broker(lease=600).connect()
        assert here.queues is not None
        for turns in range(6):  # it looks for abandoned jobs first, and nothing waits yet that could be told to stop
            queue = await here.queues.open("P.work", 1)
            asking = asyncio.ensure_future(queue.borrow(1))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            async with asyncio.timeout(60):
                await queue.close()
        await here.close()

    asyncio.run(scene())
