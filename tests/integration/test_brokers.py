"""One conformance suite for all brokers: what `worker.brokers.seam` promises, against real servers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from job_item.errors import BadMessage, NodeError, Unavailable
from tests.brokers.inbox import Inbox
from tests.brokers.stages import SERVED, Stage
from worker.brokers.seam import Broker, Connection, Delivery

P = "1f0c8b9e-project"

served = pytest.mark.parametrize("stage", SERVED, indirect=True)
one_of_each = pytest.mark.parametrize(
    "stage", ["nats-plain", "redis-plain", "rabbitmq-password", "embedded"], indirect=True
)
one_of_each_served = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)


@asynccontextmanager
async def connected(broker: Broker, count: int = 1) -> AsyncIterator[Any]:
    """One connection, or several; closed in the end."""
    async with AsyncExitStack() as stack:
        found = [await broker.connect() for _ in range(count)]
        for connection in found:
            stack.push_async_callback(connection.close)
        yield found[0] if count == 1 else found


async def lost_within(connection: Connection, within_s: float) -> str:
    """The reason of the loss."""
    return await asyncio.wait_for(asyncio.shield(connection.lost), within_s)


def test_what_is_published_comes_to_the_subscriber_as_it_was_sent(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            inbox = Inbox()
            await here.subscribe(f"{P}.send_email", P, inbox)
            bodies = [b'{"task_id":"T1","data":{"a":"x"}}', b"", b"\x00\xff\r\n\r\n", "ünï".encode()]
            for body in bodies:
                await here.publish(f"{P}.send_email", body)
            assert await inbox.until(len(bodies)) == bodies

    asyncio.run(scene())


def test_messages_of_a_subject_come_in_order_and_none_is_missing(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker(), 2) as (here, there):
            inbox = Inbox()
            await there.subscribe(f"{P}.T_process", None, inbox, prefetch=50)
            bodies = [b"%d" % number for number in range(2000)]
            for body in bodies:
                await here.publish(f"{P}.T_process", body)
            assert await inbox.until(len(bodies)) == bodies

    asyncio.run(scene())


def test_what_is_published_after_a_flush_comes_after_what_other_subjects_had_before(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker(), 2) as (here, there):
            inbox = Inbox()
            for what in ("process", "failed"):  # on one channel, as with the Go worker: two have no order
                await there.subscribe(f"{P}.T_{what}", None, inbox)
            for number in range(0, 200, 2):
                first, second = b"%d" % number, b"%d" % (number + 1)
                await here.publish(f"{P}.T_process", first)
                await here.flush()
                await here.publish(f"{P}.T_failed", second)
                assert (await inbox.until(number + 2))[number:] == [first, second]

    asyncio.run(scene())


def test_a_subscriber_takes_one_message_at_a_time(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            running, most, done = 0, 0, asyncio.Event()
            count = itertools.count(1)

            async def take(delivery: Delivery) -> None:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                await delivery.accept()
                running -= 1
                if next(count) == 100:
                    done.set()

            await here.subscribe(f"{P}.one", P, take, prefetch=10)
            for number in range(100):
                await here.publish(f"{P}.one", b"%d" % number)
            await asyncio.wait_for(done.wait(), 60)
            assert most == 1

    asyncio.run(scene())


@one_of_each
def test_two_members_of_a_group_share_a_thousand_messages_each_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.brokers.redis.life.LOCK_S", 600)  # who asks after it has run out takes a message again

    async def scene() -> None:
        async with connected(stage.broker(), 3) as (here, one, two):
            both, shares = Inbox(), [0, 0]

            async def take_first(delivery: Delivery) -> None:
                shares[0] += 1
                await both(delivery)

            async def take_second(delivery: Delivery) -> None:
                shares[1] += 1
                await both(delivery)

            await one.subscribe(f"{P}.share", P, take_first, prefetch=4)
            await two.subscribe(f"{P}.share", P, take_second, prefetch=4)
            for number in range(1000):
                await here.publish(f"{P}.share", b'{"task_id":"T%d"}' % number)
            await both.until(1000)
            for connection in (one, two):
                await connection.probe(30)  # whatever was on its way has come
            assert sorted(both.bodies) == sorted(b'{"task_id":"T%d"}' % n for n in range(1000))
            if stage.kind != "redis":  # there who is told first wins each race for a lock
                assert min(shares) > 0

    asyncio.run(scene())


def test_without_a_group_everyone_gets_each_message_where_the_protocol_lets_it(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker(), 2) as (here, there):
            both = Inbox()
            await here.subscribe(f"{P}.restart", None, both)
            await there.subscribe(f"{P}.restart", None, both)
            await here.publish(f"{P}.restart", b"now")
            wanted = 1 if stage.kind == "rabbitmq" else 2  # protocol job-item.md, section 3.4: only one of them
            await both.until(wanted)
            await here.probe(30)
            await there.probe(30)
            assert both.bodies == [b"now"] * wanted

    asyncio.run(scene())


@one_of_each
def test_a_large_message_comes_whole_and_one_over_the_limit_is_refused(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            inbox = Inbox()
            await here.subscribe(f"{P}.large", None, inbox)
            most = bytes(range(256)) * (here.payload_limit // 256)
            await here.publish(f"{P}.large", most)
            with pytest.raises(BadMessage) as refused:
                await here.publish(f"{P}.large", most + b"x")
            assert refused.value.code == "ERR-BRK-006"
            with pytest.raises(BadMessage):
                await here.deliver(f"{P}.large", most + b"x")
            await here.publish(f"{P}.large", b"end")
            bodies = await inbox.until(2)
            assert bodies[0] == most
            assert bodies[1:] == [b"end"]

    asyncio.run(scene())


@one_of_each
@pytest.mark.parametrize("subject", ["", "with blank", "a\r\nPUB x 0", "x" * 256, "nul\0"])
def test_what_cannot_be_a_subject_is_refused_and_the_connection_lives(stage: Stage, subject: str) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            with pytest.raises(BadMessage) as refused:
                await here.publish(subject, b"")
            assert refused.value.code == "ERR-BRK-006"
            with pytest.raises(NodeError):
                await here.subscribe(subject, None, Inbox())
            await here.probe(30)

    asyncio.run(scene())


def test_after_cancel_no_more_comes_and_the_others_get_it(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker(), 2) as (here, there):
            first, second = Inbox(), Inbox()
            gone = await here.subscribe(f"{P}.c", P, first)
            await there.subscribe(f"{P}.c", P, second)
            await gone.cancel()
            await gone.cancel()
            for number in range(20):
                await here.publish(f"{P}.c", b"%d" % number)
            assert await second.until(20) == [b"%d" % number for number in range(20)]
            await here.probe(30)
            assert first.bodies == []

    asyncio.run(scene())


def test_what_had_come_before_cancel_is_still_taken(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            inbox = Inbox()
            inbox.gate.clear()
            subscription = await here.subscribe(f"{P}.d", P, inbox, prefetch=10)
            for number in range(10):
                await here.publish(f"{P}.d", b"%d" % number)
            await here.probe(30)
            await subscription.cancel()
            inbox.gate.set()
            assert await inbox.until(10) == [b"%d" % number for number in range(10)]
            assert not here.lost.done()

    asyncio.run(scene())


def test_a_subject_can_be_subscribed_again_after_cancel(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            for number in range(30):
                inbox = Inbox()
                subscription = await here.subscribe(f"{P}.T_worker", P, inbox)
                await here.publish(f"{P}.T_worker", b"terminate %d" % number)
                assert await inbox.until(1) == [b"terminate %d" % number]
                await subscription.cancel()
            await here.probe(30)

    asyncio.run(scene())


def test_deliver_says_whether_somebody_has_it(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker(), 2) as (here, there):
            assert not await here.deliver(f"{P}.T_finish", b"finish")
            inbox = Inbox()
            subscription = await there.subscribe(f"{P}.T_finish", None, inbox, prefetch=100)
            asked = [here.deliver(f"{P}.T_finish", b"finish %d" % number) for number in range(50)]
            assert await asyncio.gather(*asked) == [True] * 50
            assert sorted(await inbox.until(50)) == sorted(b"finish %d" % number for number in range(50))
            await subscription.cancel()
            asked = [here.deliver(f"{P}.T_finish", b"later %d" % number) for number in range(50)]
            assert await asyncio.gather(*asked) == [False] * 50

    asyncio.run(scene())


def test_probe_comes_back_on_a_good_connection(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            await asyncio.gather(*(here.probe(30) for _ in range(20)))

    asyncio.run(scene())


def test_close_sends_what_was_published_and_can_be_called_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in ("nats", "redis", "rabbitmq"):
        monkeypatch.setattr(f"worker.brokers.{adapter}.life.CLOSE_S", 60.0)

    async def scene() -> None:
        async with connected(stage.broker()) as there:
            inbox = Inbox()
            await there.subscribe(f"{P}.last", None, inbox, prefetch=100)
            here = await stage.broker().connect()
            for number in range(500):
                await here.publish(f"{P}.last", b"%d" % number)
            await here.close()
            await here.close()
            assert here.lost.done()
            assert len(await inbox.until(500)) == 500
            with pytest.raises(Unavailable) as refused:
                await here.publish(f"{P}.last", b"")
            assert refused.value.code == "ERR-BRK-002"

    asyncio.run(scene())


def test_a_server_that_dies_is_noticed_at_once_and_the_next_connection_works(stage: Stage) -> None:
    async def scene() -> None:
        broker = stage.broker()
        here = await broker.connect()
        subscription = await here.subscribe(f"{P}.k", P, Inbox())
        stage.shuts_down()
        reason = await lost_within(here, 15)
        assert reason
        work: list[Callable[[], Any]] = [
            lambda: here.publish(f"{P}.k", b""),
            lambda: here.deliver(f"{P}.k", b""),
            lambda: here.subscribe(f"{P}.k", P, Inbox()),
            lambda: here.probe(1),
        ]
        for ask in work:
            with pytest.raises(Unavailable) as refused:
                await ask()
            assert refused.value.code == "ERR-BRK-002"
        await subscription.cancel()
        await here.close()
        with pytest.raises(Unavailable) as away:
            await broker.connect()
        assert away.value.code == "ERR-BRK-001"
        await asyncio.to_thread(stage.comes_back)
        async with connected(broker) as again:
            inbox = Inbox()
            await again.subscribe(f"{P}.k", P, inbox)
            await again.publish(f"{P}.k", b"back")
            assert await inbox.until(1) == [b"back"]

    asyncio.run(scene())


@served
def test_a_reset_link_is_noticed_at_once(stage: Stage) -> None:
    async def scene() -> None:
        with stage.proxy() as proxy:
            here = await stage.broker(port=proxy.port).connect()
            await asyncio.to_thread(proxy.reset)
            assert await lost_within(here, 15)
            await here.close()

    asyncio.run(scene())


@served
@pytest.mark.parametrize("weather", ["stalled", "half-open"])
def test_a_deaf_link_is_found_by_the_probe_and_closed_within_a_bound(stage: Stage, weather: Any) -> None:
    async def scene() -> None:
        with stage.proxy() as proxy:
            here = await stage.broker(port=proxy.port).connect()
            await here.subscribe(f"{P}.deaf", P, Inbox())
            await here.probe(30)
            await asyncio.to_thread(proxy.change, weather)
            with pytest.raises(Unavailable) as deaf:
                for _ in range(2):  # what came in just before may be read after the first, and pass for a sign of life
                    await here.probe(0.3)
            assert deaf.value.code == "ERR-BRK-004"
            assert not here.lost.done()
            async with asyncio.timeout(60):
                await here.close()
            assert here.lost.done()

    asyncio.run(scene())


@pytest.mark.parametrize("stage", ["rabbitmq-password"], indirect=True)
def test_a_link_on_which_nothing_is_acknowledged_is_given_up_long_before_a_silent_server(stage: Stage) -> None:
    async def scene() -> None:
        with stage.proxy() as proxy:
            here = await stage.broker(port=proxy.port).connect()
            await here.probe(30)
            await asyncio.to_thread(proxy.change, "vanished")
            async with asyncio.timeout(40):  # a server that is silent gets 50
                with pytest.raises(Unavailable) as deaf:
                    await here.probe(5)
            assert deaf.value.code == "ERR-BRK-004"
            await here.close()

    asyncio.run(scene())


@one_of_each
def test_who_gives_up_waiting_for_an_answer_disturbs_nobody(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            for turns in range(20):
                waits = asyncio.ensure_future(here.deliver(f"{P}.nobody", b"x"))
                gives_up = asyncio.ensure_future(here.deliver(f"{P}.nobody", b"x"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                gives_up.cancel()
                async with asyncio.timeout(90):
                    assert await waits is False
                    await here.probe(30)
            assert not here.lost.done()

    asyncio.run(scene())


@one_of_each_served
def test_a_publisher_on_a_stalled_link_is_let_go_when_the_connection_is_closed(stage: Stage) -> None:
    async def scene() -> None:
        with stage.proxy() as proxy:
            here = await stage.broker(port=proxy.port).connect()
            await asyncio.to_thread(proxy.change, "stalled")

            async def publish_much() -> None:
                while True:
                    await here.publish(f"{P}.stall", bytes(512 << 10))

            publisher = asyncio.ensure_future(publish_much())
            with pytest.raises(Unavailable):
                for _ in range(2):  # as above
                    await here.probe(0.5)
            assert not publisher.done()
            async with asyncio.timeout(60):
                await here.close()
                with pytest.raises(Unavailable) as refused:
                    await publisher
            assert refused.value.code == "ERR-BRK-002"

    asyncio.run(scene())


@one_of_each
def test_what_is_given_back_comes_again_where_the_broker_takes_it(
    stage: Stage, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            came: list[bytes] = []
            once, again = asyncio.Event(), asyncio.Event()

            async def take(delivery: Delivery) -> None:
                came.append(delivery.body)
                if len(came) == 1:
                    await delivery.give_back()
                    once.set()
                else:
                    await delivery.accept()
                    again.set()

            await here.subscribe(f"{P}.back", P, take)
            await here.publish(f"{P}.back", b"boomerang")
            if stage.kind in ("rabbitmq", "embedded"):
                await asyncio.wait_for(again.wait(), 30)
                assert came == [b"boomerang"] * 2
            else:
                await asyncio.wait_for(once.wait(), 30)
                await here.probe(30)
                assert came == [b"boomerang"]
                said = capfd.readouterr().err
                assert "broker.message_lost" in said
                assert "ERR-BRK-008" in said
                assert "boomerang" not in said

    asyncio.run(scene())


@one_of_each
def test_what_is_refused_never_comes_again(stage: Stage) -> None:
    async def scene() -> None:
        async with connected(stage.broker()) as here:
            came: list[bytes] = []
            end = asyncio.Event()

            async def take(delivery: Delivery) -> None:
                came.append(delivery.body)
                if delivery.body == b"end":
                    await delivery.accept()
                    end.set()
                else:
                    await delivery.refuse()

            await here.subscribe(f"{P}.bad", P, take)
            await here.publish(f"{P}.bad", b"../../etc")
            await here.publish(f"{P}.bad", b"end")
            await asyncio.wait_for(end.wait(), 30)
            await here.probe(30)
            assert came == [b"../../etc", b"end"]

    asyncio.run(scene())
