"""Each broker on the wire (protocol job-item.md, sections 3.3 to 3.5), and with a server in a bad mood."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import aiormq
import pytest
from yarl import URL

from job_item.errors import NodeError, Unavailable
from tests.brokers.inbox import Inbox
from tests.brokers.rabbitmq import RabbitmqServer
from tests.brokers.servers import PASSWORD, USER, Access, NatsServer, RedisServer
from tests.brokers.stages import Stage
from tests.conftest import ROOT
from worker.brokers import belt
from worker.brokers.rabbitmq.life import RabbitmqLife
from worker.brokers.rabbitmq.words import explain
from worker.brokers.redis.subscription import lock_key
from worker.brokers.seam import Delivery

BODY = b'{"task_id":"T1","data":{"a":"x"}}'
LOCK = "lock:P.send_email:P:7b227461736b5f6964223a225431222c2264617461223a7b2261223a2278227d7d"


def redis_says(port: int, *command: str) -> bytes:
    """One command to a redis-server, by hand."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(
            b"".join([b"*%d\r\n" % len(command), *(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in command)])
        )
        return client.recv(65536)


async def lost(connection: Any) -> str:
    """The reason of a loss that is to come."""
    reason: str = await asyncio.wait_for(asyncio.shield(connection.lost), 10)
    return reason


# Redis


def test_the_lock_of_redis_is_that_of_the_protocol() -> None:
    assert lock_key("P.send_email", "P", BODY).decode() == LOCK


def test_a_redis_message_is_taken_under_its_lock_which_stays(redis: Callable[[Access], RedisServer]) -> None:
    stage = Stage("redis-plain", redis("plain"))
    port = stage.settings()["port"]

    async def scene() -> None:
        here = await stage.broker().connect()
        inbox = Inbox()
        await here.subscribe("P.send_email", "P", inbox)
        await here.publish("P.send_email", BODY)
        await inbox.until(1)
        assert redis_says(port, "GET", LOCK) == b"$1\r\n1\r\n"
        assert redis_says(port, "TTL", LOCK) in (b":5\r\n", b":4\r\n")
        await here.publish("P.send_email", BODY)  # the same within 5 s is for nobody
        await here.publish("P.send_email", b"other")
        assert await inbox.until(2) == [BODY, b"other"]
        await here.close()

    asyncio.run(scene())


def test_a_redis_message_whose_lock_another_worker_has_is_left_to_it(redis: Callable[[Access], RedisServer]) -> None:
    stage = Stage("redis-plain", redis("plain"))
    assert redis_says(stage.settings()["port"], "SET", LOCK, "1", "EX", "5", "NX") == b"+OK\r\n"

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


def test_a_lock_that_redis_refuses_for_a_moment_is_asked_for_again(redis: Callable[[Access], RedisServer]) -> None:
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


# NATS


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


# RabbitMQ


async def by_hand(stage: Stage) -> Any:
    """A channel of somebody else, for instance of a Go worker or a manager."""
    settings = stage.settings()
    url = f"amqp://{USER}:x@127.0.0.1:{settings['port']}/{settings['virtual_host']}"
    connection = await aiormq.connect(URL(url).with_password(PASSWORD))
    return connection, await connection.channel()


@pytest.fixture
def rabbit(rabbitmq: RabbitmqServer) -> Stage:
    return Stage("rabbitmq-password", rabbitmq)


def test_a_go_worker_and_this_node_can_declare_the_same_queue(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        await theirs.queue_declare("P.e", durable=False, auto_delete=True, exclusive=False)
        here = await rabbit.broker().connect()
        inbox = Inbox()
        await here.subscribe("P.e", "P", inbox)
        await theirs.queue_declare("P.e", durable=False, auto_delete=True, exclusive=False)
        await theirs.basic_publish(BODY, routing_key="P.e")
        assert await inbox.until(1) == [BODY]
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_a_queue_with_other_flags_is_refused_with_what_to_do_and_the_connection_lives(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        await theirs.queue_declare("P.durable", durable=True)
        here = await rabbit.broker().connect()
        with pytest.raises(NodeError) as refused:
            await here.subscribe("P.durable", "P", Inbox())
        assert refused.value.code == "ERR-BRK-003"
        assert "PRECONDITION_FAILED" in refused.value.message
        assert "auto-delete" in (refused.value.remedy or "")
        assert not isinstance(refused.value, Unavailable)
        await here.probe(5)
        await theirs.queue_delete("P.durable")
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_a_refused_subject_of_a_task_disturbs_no_other_task_and_no_job(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        await theirs.queue_declare("T2_worker", durable=True)
        here = await rabbit.broker().connect()
        inboxes = [Inbox() for _ in range(5)]
        first, job, beside, later, jobs_later = inboxes
        await here.subscribe("T1_worker", "P", first)
        await here.subscribe("P.e", "P", job, prefetch=4)
        refused = asyncio.ensure_future(here.subscribe("T2_worker", "P", Inbox()))
        made = [await here.subscribe("T3_worker", "P", beside)]
        with pytest.raises(NodeError, match="PRECONDITION_FAILED"):
            await refused
        made.append(await here.subscribe("T4_worker", "P", later))
        await here.subscribe("P.late", "P", jobs_later, prefetch=4)
        for inbox, subject in zip(inboxes, ("T1_worker", "P.e", "T3_worker", "T4_worker", "P.late"), strict=True):
            await theirs.basic_publish(subject.encode(), routing_key=subject)
            assert await inbox.until(1) == [subject.encode()]
        for subscription in made:
            await subscription.cancel()
        assert not here.lost.done()
        await theirs.queue_delete("T2_worker")
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_the_subjects_of_many_tasks_share_one_channel_and_go_with_their_tasks(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        here = await rabbit.broker().connect()
        assert isinstance(here, RabbitmqLife)
        channels = len(here._wire.channels)
        inbox = Inbox()
        subjects = [f"T{number}_worker" for number in range(50)]
        made = await asyncio.gather(*(here.subscribe(subject, "P", inbox) for subject in subjects))
        assert len(here._wire.channels) == channels
        for subject in subjects:
            await theirs.basic_publish(subject.encode(), routing_key=subject)
        assert sorted(await inbox.until(50)) == sorted(subject.encode() for subject in subjects)
        for subscription in made[1:]:
            subscription.leave()
        await made[0].cancel()
        with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):  # the queue goes with its consumer
            await theirs.queue_declare(subjects[49], passive=True)
        assert not here.lost.done()
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_a_message_comes_as_plain_text_to_the_queue_of_its_name_and_makes_no_queue(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        await theirs.queue_declare("T1_finish", auto_delete=True)
        here = await rabbit.broker().connect()
        assert await here.deliver("T1_finish", b"finish")
        got = await theirs.basic_get("T1_finish", no_ack=True)
        assert got.body == b"finish"
        assert got.delivery.exchange == ""
        assert got.header.properties.content_type == "text/plain"
        assert got.header.properties.delivery_mode in (None, 0, 1)
        await here.publish("T1_who", b"host")  # no queue of this name comes into being
        with pytest.raises(aiormq.exceptions.ChannelNotFoundEntity):
            await theirs.queue_declare("T1_who", passive=True)
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_a_consumer_that_the_server_cancels_is_a_loss(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await by_hand(rabbit)
        here = await rabbit.broker().connect()
        await here.subscribe("P.gone", "P", Inbox())
        await theirs.queue_delete("P.gone")  # a Go worker does so when it unsubscribes
        assert "cancelled the consumer of P.gone" in await lost(here)
        await here.close()
        await connection.close()

    asyncio.run(scene())


def test_a_channel_that_the_server_closes_is_a_loss(rabbit: Stage) -> None:
    async def scene() -> None:
        here = await rabbit.broker().connect()
        assert isinstance(here, RabbitmqLife)

        async def take_twice(delivery: Delivery) -> None:
            await delivery.accept()
            await delivery.accept()  # what must not be: the server knows no such message any more

        await here.subscribe("P.twice", "P", take_twice, prefetch=1)
        await here.publish("P.twice", BODY)
        reason = await lost(here)
        assert "P.twice" in reason
        assert "unknown delivery tag" in reason
        await here.close()

    asyncio.run(scene())


def test_no_more_than_prefetch_is_here_and_what_was_not_accepted_goes_to_others(rabbit: Stage) -> None:
    async def scene() -> None:
        here, there = await rabbit.broker().connect(), await rabbit.broker().connect()
        held: list[Delivery] = []

        async def hold(delivery: Delivery) -> None:
            held.append(delivery)

        await here.subscribe("P.hold", "P", hold, prefetch=3)
        for number in range(10):
            await here.publish("P.hold", b"%d" % number)
        await here.probe(5)
        await here.probe(5)
        assert [delivery.body for delivery in held] == [b"0", b"1", b"2"]
        await held[0].accept()
        inbox = Inbox()
        await there.subscribe("P.hold", "P", inbox, prefetch=20)
        await here.close()
        assert sorted(await inbox.until(9)) == [b"%d" % number for number in range(1, 10)]
        await there.close()

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_an_exchange_routes_by_the_subject(rabbit: Stage, kind: str) -> None:
    async def scene() -> None:
        more = {"exchange": f"jobs-{kind}", "exchange_type": kind, "routing_key": "fleet.{subject}"}
        connection, theirs = await by_hand(rabbit)
        here = await rabbit.broker(**more).connect()
        inbox, other = Inbox(), Inbox()
        await here.subscribe("P.a", "P", inbox)
        await here.subscribe("P.b", "P", other)
        await here.publish("P.a", b"by us")
        await theirs.basic_publish(b"by them", exchange=f"jobs-{kind}", routing_key="fleet.P.a")
        await theirs.basic_publish(b"by a Go worker", routing_key="P.a")
        assert await here.deliver("P.b", b"other")
        assert not await here.deliver("P.c", b"nobody")
        assert sorted(await inbox.until(3)) == [b"by a Go worker", b"by them", b"by us"]
        assert await other.until(1) == [b"other"]
        again = await rabbit.broker(**more).connect()  # it is there now
        await again.close()
        await here.close()
        await theirs.exchange_delete(f"jobs-{kind}")
        await connection.close()

    asyncio.run(scene())


def test_what_a_rabbitmq_user_may_not_do_is_said(rabbit: Stage) -> None:
    async def scene() -> None:
        here = await rabbit.broker(user="guest-of-few", virtual_host="/").connect()
        with pytest.raises(NodeError) as refused:
            await here.subscribe("P.x", "P", Inbox())
        assert refused.value.code == "ERR-BRK-003"
        assert "ACCESS_REFUSED" in refused.value.message
        await here.probe(5)
        await here.close()

    asyncio.run(scene())


def test_what_the_server_says_is_kept_for_the_reader() -> None:
    error = aiormq.exceptions.ConnectionInternalError(
        "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated."
    )
    assert "transient_nonexcl_queues" in explain(error)
