"""RabbitMQ on the wire (protocol job-item.md, section 3.4), and with a server in a bad mood."""

from __future__ import annotations

import asyncio

import aiormq
import pytest

from job_item.errors import NodeError, Unavailable
from tests.brokers.inbox import Inbox, lost
from tests.brokers.rabbitmq import RabbitmqServer, channel_of
from tests.brokers.stages import Stage
from tests.rosters import soon
from worker.brokers.rabbitmq.life import RabbitmqLife
from worker.brokers.rabbitmq.words import explain
from worker.brokers.seam import Connection, Delivery

BODY = b'{"task_id":"T1","data":{"a":"x"}}'


@pytest.fixture
def rabbit(rabbitmq: RabbitmqServer) -> Stage:
    return Stage("rabbitmq-password", rabbitmq)


def test_a_go_worker_and_this_node_can_declare_the_same_queue(rabbit: Stage) -> None:
    async def scene() -> None:
        connection, theirs = await channel_of(rabbit.settings())
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
        connection, theirs = await channel_of(rabbit.settings())
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
        connection, theirs = await channel_of(rabbit.settings())
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
        connection, theirs = await channel_of(rabbit.settings())
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
        connection, theirs = await channel_of(rabbit.settings())
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
        connection, theirs = await channel_of(rabbit.settings())
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
        await soon(lambda: len(held) >= 3)
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


async def wait_there(here: Connection, subject: str, number: int) -> None:
    """Let so many messages wait at the server; its queues and channels are processes of their own."""
    for _ in range(1000):
        if await here.waiting(subject) == number:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{subject} does not come to {number} messages")


def test_who_stands_behind_gets_only_what_nobody_else_takes_and_one_at_a_time(rabbit: Stage) -> None:
    async def scene() -> None:
        here, there = await rabbit.broker().connect(), await rabbit.broker().connect()
        held: list[Delivery] = []
        came = asyncio.Event()

        async def hold(delivery: Delivery) -> None:
            held.append(delivery)
            came.set()
            await asyncio.Event().wait()  # the others wait behind it

        busy = await here.subscribe("P.behind", "P", hold, prefetch=9)
        for number in range(5):
            await there.publish("P.behind", b"%d" % number)
        await came.wait()
        inbox = Inbox()
        idle = await there.subscribe("P.behind", "P", inbox, prefetch=99)
        await busy.stand(is_behind=True)  # what is at hand goes back; only what is being taken stays
        await inbox.until(4, 30)
        for number in range(5, 40):
            await there.publish("P.behind", b"%d" % number)
        assert sorted(await inbox.until(39, 30), key=int) == [b"%d" % number for number in range(1, 40)]
        await idle.cancel()
        await there.publish("P.behind", b"one")
        await there.publish("P.behind", b"two")
        await wait_there(there, "P.behind", 1)
        await there.probe(5)
        await here.probe(5)
        assert await there.waiting("P.behind") == 1  # the other one is here: the queue has its consumer
        again = await there.subscribe("P.behind", "P", inbox, prefetch=99)
        assert (await inbox.until(40, 30))[39:] == [b"two"]
        await again.cancel()
        await busy.stand(is_behind=False)
        for _ in range(4):
            await there.publish("P.behind", b"three")
        await wait_there(there, "P.behind", 0)
        assert [delivery.body for delivery in held] == [b"0"]
        await here.close()
        await there.close()

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_an_exchange_routes_by_the_subject(rabbit: Stage, kind: str) -> None:
    async def scene() -> None:
        more = {"exchange": f"jobs-{kind}", "exchange_type": kind, "routing_key": "fleet.{subject}"}
        connection, theirs = await channel_of(rabbit.settings())
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


def test_a_dead_letter_that_somebody_else_looks_at_is_taken_away_all_the_same(rabbitmq: RabbitmqServer) -> None:
    stage = Stage("rabbitmq-durable", rabbitmq)

    async def scene() -> None:
        here = await stage.broker().connect()
        assert here.queues is not None
        await here.queues.bury("T1", b"{}")
        (letter,) = await here.queues.fallen(10)
        connection, theirs = await channel_of(stage.settings())
        looked_at = asyncio.Event()

        async def look(_: aiormq.abc.DeliveredMessage) -> None:
            looked_at.set()

        await theirs.basic_consume("job_item.dead.P", look)
        await looked_at.wait()
        taken = asyncio.ensure_future(here.queues.exhume(letter))
        await asyncio.wait({taken}, timeout=0.3)
        assert not taken.done()
        await connection.close()
        assert await taken
        assert await here.queues.fallen(10) == []
        await here.close()

    asyncio.run(scene())
