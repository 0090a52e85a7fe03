"""One conformance suite for all queues that keep jobs: what `worker.brokers.queues` promises, against real servers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from job_item.errors import BadMessage, NodeError, Unavailable
from tests.brokers.servers import LEASE_S
from tests.brokers.stages import DURABLE, Stage
from tests.journals import in_loop
from worker.brokers.embedded import EmbeddedLife, Hub
from worker.brokers.nats.life import NatsLife
from worker.brokers.nats.queues import API, stream_name
from worker.brokers.queues import Expired, Loan, Queue, Queues
from worker.brokers.redis.life import RedisLife
from worker.brokers.redis.queues import stream_of
from worker.brokers.seam import Connection
from worker.brokers.stored import Store

WORK = "P.work"
SOON_S = 60.0
LONG_S = 600.0
"""A lease that no stall of a machine outlives."""
TERM_S = 8.0
"""A lease that is waited for: a machine may stand still for most of it."""

pytestmark = pytest.mark.parametrize("stage", DURABLE, indirect=True)


@asynccontextmanager
async def connected(stage: Stage, **change: Any) -> AsyncIterator[tuple[Connection, Any]]:
    """A connection by settings that are changed so, and its queues."""
    connection = await stage.broker(**change).connect()
    assert connection.queues is not None
    try:
        yield connection, connection.queues
    finally:
        await connection.close()


async def borrow(queue: Queue, within_s: float = SOON_S) -> Loan:
    """The next job."""
    async with asyncio.timeout(within_s):
        return (await queue.borrow(1))[0]


async def asked(connection: Connection) -> None:
    """Return when the server knows what was asked: a round trip later, and with Redis, which has a link for each draw,
    when it says that somebody waits.
    """
    await connection.probe(SOON_S)
    async with asyncio.timeout(SOON_S):
        while isinstance(connection, RedisLife) and b"blocked_clients:0" in await connection.call("INFO", "clients"):
            pass


async def work_for(limit_s: float, queues: Queues, queue: Queue) -> None:
    """Let jobs go through a queue for a while."""
    deadline_s = time.monotonic() + limit_s
    number = 0
    while time.monotonic() < deadline_s:
        number += 1
        await queues.put(WORK, f"past-{number}", b"past")
        await queues.accept(await borrow(queue))


async def renew_and_accept(queues: Queues, queue: Queue, loan: Loan) -> None:
    """Do that with a job of a short lease; whoever is late for it gets it again."""
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(Expired):
                await queues.renew(loan)
                await queues.accept(loan)
                return
            loan = await borrow(queue)


async def is_empty(connection: Connection, queue: Queue) -> bool:
    """Whether nothing comes, and nothing is kept that would come at the end of a lease."""
    with suppress(TimeoutError):
        await borrow(queue, LEASE_S / 4)
        return False
    with suppress(TimeoutError):
        async with asyncio.timeout(SOON_S):
            while await kept_of(connection):  # a server may take back what it has lent in a moment of its own
                await connection.probe(SOON_S)
            return True
    return False


async def kept_of(connection: Connection) -> int:
    """How many jobs the server has, lent ones too; of RabbitMQ's those that are not lent."""
    match connection:
        case NatsLife():
            found = await connection.request(f"{API}STREAM.INFO.{stream_name(WORK)}", b"")
            return int(json.loads(found.data)["state"]["messages"])
        case RedisLife():
            return int(await connection.call("XLEN", stream_of(WORK)))
        case EmbeddedLife(hub=Hub(store=Store() as store)):
            alarms = vars(asyncio.get_running_loop())["_scheduled"]  # each lent job has one
            lent = [alarm for alarm in alarms if not alarm.cancelled() and alarm._callback == store._expire]
            return len(store.waiting[WORK]) + len(lent)
        case _:
            return await connection.waiting(WORK) or 0


@in_loop
async def test_what_was_put_in_while_nobody_listened_is_lent_with_its_bytes(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (_, queues):
        for number in range(20):
            await queues.put(WORK, f"T{number}", b'{"task_id":"T%d"}' % number)
    async with connected(stage, lease=LONG_S) as (connection, queues):
        queue = await queues.open(WORK, 20)
        loans = []
        for _ in range(20):
            loans.append(loan := await borrow(queue))
            await queues.accept(loan)
        assert sorted(loan.body for loan in loans) == sorted(b'{"task_id":"T%d"}' % number for number in range(20))
        assert {(loan.delivery, loan.runs, loan.losses, loan.round) for loan in loans} == {(1, 0, 0, 0)}
        assert await is_empty(connection, queue)
        await queue.close()


@in_loop
async def test_what_anybody_publishes_to_the_subject_of_an_open_queue_lands_in_it_where_it_is_not_bypassed(
    stage: Stage,
) -> None:
    async with connected(stage, lease=LONG_S) as (connection, queues):
        queue = await queues.open(WORK, 4)
        await connection.publish(WORK, b'{"task_id":"T1"}')
        if queues.is_bypassed:  # there nodes put in what they hear
            assert await is_empty(connection, queue)
        else:
            loan = await borrow(queue)
            assert loan.body == b'{"task_id":"T1"}'
            await queues.accept(loan)
        await queue.close()


@in_loop
async def test_a_job_is_lent_to_one_at_a_time_and_to_the_next_when_the_first_is_silent(stage: Stage) -> None:
    async with connected(stage, lease=TERM_S) as (one, first), connected(stage, lease=TERM_S) as (two, second):
        queue, other = await first.open(WORK, 1), await second.open(WORK, 1)
        await first.put(WORK, "T1", b"1")
        loan = await borrow(queue)
        await queue.close()
        if loan.is_bound:
            with pytest.raises(TimeoutError):
                await borrow(other, LEASE_S / 4)
            await one.close()
        again = await borrow(other)
        assert loan.is_bound or asyncio.get_running_loop().time() >= loan.until_s
        losses = again.losses  # more than one where this machine stood still for the rest of a term
        assert losses >= 1
        assert (again.body, again.delivery, again.runs) == (b"1", losses + 1, losses)
        assert again.entry == loan.entry, "it is the same message"
        with pytest.raises((Expired, Unavailable)):
            await first.accept(loan)
        with pytest.raises((Expired, Unavailable)):
            await first.renew(loan)
        await renew_and_accept(second, other, again)
        assert await is_empty(two, other)
        await other.close()


@in_loop
async def test_what_a_dead_process_had_on_loan_can_be_released_by_its_successor_and_counts_as_a_loss(
    stage: Stage,
) -> None:
    async with connected(stage, lease=LONG_S) as (_, first), connected(stage, lease=LONG_S) as (_, second):
        queue = await first.open(WORK, 3)
        for number in range(3):
            await first.put(WORK, f"T{number}", b"%d" % number)
        loans = [await borrow(queue) for _ in range(3)]
        await queue.close()
        await first.accept(loans[2])
        if loans[0].pledge:  # what ends with its connection needs no word
            loans[0] = await first.renew(loans[0])
            for loan in loans:
                await second.redeem(WORK, loan.pledge, loan.until_s, is_done=False)
            other = await second.open(WORK, 3)
            again = [await borrow(other) for _ in range(2)]
            assert sorted((loan.body, loan.runs, loan.losses) for loan in again) == [(b"0", 1, 1), (b"1", 1, 1)]
            assert {loan.delivery > 1 for loan in again} == {True}
            for loan in loans:  # these are over
                assert not await first.redeem(WORK, loan.pledge, 0.0, is_done=False)
            with pytest.raises(TimeoutError):
                await borrow(other, LEASE_S / 4)
            await other.close()
            loans = again
        for loan in loans[:2]:
            await second.accept(loan) if loan.pledge else await first.accept(loan)


@in_loop
async def test_what_a_dead_process_had_done_can_be_acknowledged_by_its_successor(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (_, first), connected(stage, lease=LONG_S) as (_, second):
        queue = await first.open(WORK, 1)
        await first.put(WORK, "T1", b"1")
        loan = await borrow(queue)
        if not loan.pledge:
            await first.accept(loan)
        else:
            assert await second.redeem(WORK, loan.pledge, loan.until_s, is_done=True)
            await second.redeem(WORK, loan.pledge, loan.until_s, is_done=False)  # what is there comes by that at once
            with pytest.raises(TimeoutError):
                await borrow(queue, LEASE_S / 4)
        await queue.close()


@in_loop
async def test_a_job_that_is_renewed_stays_with_its_holder(stage: Stage) -> None:
    async with connected(stage, lease=TERM_S) as (_, first), connected(stage, lease=TERM_S) as (two, second):
        queue, other = await first.open(WORK, 1), await second.open(WORK, 1)
        await first.put(WORK, "T1", b"1")
        loan = await borrow(queue)
        await queue.close()
        waiting = asyncio.ensure_future(other.borrow(1))
        deadline_s = time.monotonic() + (LEASE_S if loan.is_bound else TERM_S * 1.25)
        while time.monotonic() < deadline_s:
            await asyncio.wait({waiting}, timeout=LEASE_S / 4)
            assert not waiting.done()
            loan = await first.renew(loan)
        await first.accept(loan)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert await is_empty(two, other)
        await other.close()


@in_loop
async def test_what_is_on_its_way_when_a_queue_is_closed_comes_again_at_once_and_counts_as_no_loss(
    stage: Stage,
) -> None:
    losses = (0, 1) if stage.kind == "rabbitmq" else (0,)  # its server takes back by itself, and counts that
    async with connected(stage, lease=LONG_S) as (_, queues):
        for number in range(20):
            await queues.put(WORK, f"T{number}", b"%d" % number)
            queue = await queues.open(WORK, 1)
            with suppress(TimeoutError):
                async with asyncio.timeout(number / 10_000):
                    (loan,) = await queue.borrow(1)
                await queues.give_back(loan, loan.runs)  # never cut in two: a copy and its original would be there
            await queue.close()
            again = await queues.open(WORK, 1)
            loan = await borrow(again)
            assert loan.body == b"%d" % number
            assert loan.losses in losses
            await queues.accept(loan)
            await again.close()


@in_loop
async def test_what_is_given_back_comes_at_once_and_counts_as_no_loss(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (connection, queues):
        queue = await queues.open(WORK, 2)
        await queues.put(WORK, "T1", b"1")
        delivery = 0
        for number in range(1, 5):
            loan = await borrow(queue)
            assert (loan.runs, loan.losses) == ((number - 1) * 2, 0)
            assert loan.delivery > delivery
            delivery = loan.delivery
            await queues.give_back(loan, loan.runs + 2)
        loan = await borrow(queue)
        await queues.accept(loan)
        assert await is_empty(connection, queue)
        await queue.close()


@in_loop
async def test_a_job_is_put_in_once_for_each_task_id_and_round_where_the_server_knows_them(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (connection, queues):
        queue = await queues.open(WORK, 4)
        for _ in range(3):
            await queues.put(WORK, "T1", b"1")
        await queues.put(WORK, "T1", b"1", 1)
        wanted = [0, 0, 0, 1] if stage.kind == "rabbitmq" else [0, 1]  # there nodes know them, by their journals
        loans = [await borrow(queue) for _ in wanted]
        assert sorted(loan.round for loan in loans) == wanted
        for loan in loans:
            await queues.accept(loan)
        assert await is_empty(connection, queue)
        await queue.close()


@in_loop
async def test_two_who_draw_get_each_job_once(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (_, first), connected(stage, lease=LONG_S) as (_, second):
        bodies: list[bytes] = []

        async def draw(queues: Queues) -> None:
            queue = await queues.open(WORK, 4)
            try:
                while len(bodies) < 200:
                    (loan,) = await queue.borrow(1)
                    bodies.append(loan.body)
                    await queues.accept(loan)
            finally:
                await queue.close()

        drawing = [asyncio.ensure_future(draw(queues)) for queues in (first, second)]
        for number in range(200):
            await first.put(WORK, f"T{number}", b"%d" % number)
        async with asyncio.timeout(SOON_S):
            await asyncio.wait(drawing, return_when=asyncio.FIRST_COMPLETED)
        for task in drawing:
            task.cancel()
        await asyncio.gather(*drawing, return_exceptions=True)
        assert sorted(bodies) == sorted(b"%d" % number for number in range(200))


@in_loop
async def test_no_more_is_lent_at_a_time_than_was_asked_for(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (_, first), connected(stage, lease=LONG_S) as (_, second):
        for number in range(10):
            await first.put(WORK, f"T{number}", b"%d" % number)
        queue = await first.open(WORK, 3)
        loans: list[Loan] = []
        async with asyncio.timeout(SOON_S):
            while len(loans) < 3:
                loans.extend(await queue.borrow(3 - len(loans)))
        other = await second.open(WORK, 7)
        others = [await borrow(other) for _ in range(7)]
        assert {loan.losses for loan in (*loans, *others)} == {0}
        assert len({loan.entry for loan in (*loans, *others)}) == (1 if loans[0].is_bound else 10)
        assert sorted(loan.body for loan in (*loans, *others)) == [b"%d" % number for number in range(10)]
        for loan in loans:
            await first.accept(loan)
        for loan in others:
            await second.accept(loan)
        await queue.close()
        await other.close()


@in_loop
async def test_a_draw_that_is_called_off_loses_nothing(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (_, queues):
        queue = await queues.open(WORK, 1)
        for number in range(30):
            drawing = asyncio.ensure_future(queue.borrow(1))
            await asyncio.sleep(0)
            await queues.put(WORK, f"T{number}", b"%d" % number)
            drawing.cancel()
            await asyncio.wait({drawing})
            loan = drawing.result()[0] if not drawing.cancelled() else await borrow(queue)
            assert loan.body == b"%d" % number
            assert loan.losses == 0
            await queues.accept(loan)
        await queue.close()


@in_loop
async def test_what_came_and_was_not_asked_for_goes_back_when_the_queue_is_closed(stage: Stage) -> None:
    async with connected(stage, lease=LONG_S) as (connection, queues):
        queue = await queues.open(WORK, 1)
        drawing = asyncio.ensure_future(queue.borrow(1))
        await asked(connection)
        drawing.cancel()
        await asyncio.wait({drawing})
        await queues.put(WORK, "T1", b"1")
        await queue.close()
        again = await queues.open(WORK, 1)
        loan = await borrow(again)
        assert (loan.body, loan.runs) == (b"1", 0)
        await queues.accept(loan)
        await again.close()


@in_loop
async def test_a_dead_letter_that_is_too_large_ends_no_connection(stage: Stage) -> None:
    async with connected(stage) as (connection, queues):
        with suppress(BadMessage):
            await queues.bury("T1", b"x" * (connection.payload_limit + 1))
        await connection.probe(SOON_S)
        assert not connection.lost.done()


@in_loop
async def test_dead_letters_are_kept_shown_and_taken_away_once(stage: Stage) -> None:
    async with connected(stage) as (_, queues), connected(stage) as (_, other):
        for letter in await queues.fallen(1000):
            await queues.exhume(letter)
        for number in range(5):
            await queues.bury(f"T{number}", b'{"n":%d}' % number)
        fallen = sorted(await other.fallen(100), key=lambda letter: letter.body)
        assert [letter.body for letter in fallen] == [b'{"n":%d}' % number for number in range(5)]
        assert len(await other.fallen(2)) == 2
        assert await queues.exhume(fallen[1])
        assert not await other.exhume(fallen[1])
        assert sorted(letter.body for letter in await queues.fallen(100)) == [b'{"n":%d}' % n for n in (0, 2, 3, 4)]


@in_loop
async def test_a_server_that_dies_loses_no_job(stage: Stage) -> None:
    connection = await stage.broker(lease=TERM_S).connect()
    queues = connection.queues
    assert queues is not None
    queue = await queues.open(WORK, 1)
    await work_for(2.0, queues, queue)  # RabbitMQ 3.10 forgets a queue that is made in the second before its death
    for number in range(10):
        await queues.put(WORK, f"T{number}", b"%d" % number)
    loan = await borrow(queue)
    stage.shuts_down()
    with pytest.raises(Unavailable):
        async with asyncio.timeout(SOON_S):
            while True:
                await queue.borrow(1)
    with pytest.raises((Unavailable, Expired)):
        await queues.renew(loan)
    await queue.close()
    await connection.close()
    await asyncio.to_thread(stage.comes_back)
    bodies: set[bytes] = set()
    async with asyncio.timeout(150):
        while len(bodies) < 10:
            # A server that has just come back may take connections, and then be busy; whoever is late gets it again.
            with suppress(Unavailable, Expired):
                async with connected(stage, lease=TERM_S) as (_, queues):
                    queue = await queues.open(WORK, 10)
                    while len(bodies) < 10:
                        (loan,) = await queue.borrow(1)
                        bodies.add(loan.body)
                        await queues.accept(loan)
                    await queue.close()
    assert bodies == {b"%d" % number for number in range(10)}


@in_loop
async def test_what_cannot_be_a_queue_is_refused_and_the_connection_lives(stage: Stage) -> None:
    async with connected(stage) as (connection, queues):
        with pytest.raises(NodeError):
            await queues.open("with blank", 1)
        await connection.probe(5)
