"""Drains that meet an open request for a job: each job is run, or handed back at once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Literal

import pytest

from job_item.job import Status
from job_item.settings import Job
from tests.brokers.stages import DURABLE, Stage
from tests.dispatching import company
from tests.journals import in_loop
from tests.soak.conftest import Slice
from worker.brokers.session import Session
from worker.journal import Journal, LastWords
from worker.leases import Leases
from worker.outbox import Outbox
from worker.seams import Assignment, Lessor
from worker.sources.durable import DurableSource

ROUNDS = {"quick": 50, "night": 5_000}
SUBJECT = "local.render"
SOON_S = 30.0
LEASE_S = 120.0
"""Far more than that: what is there again was handed back, and nothing that runs is lost on a busy machine."""


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stage", DURABLE, indirect=True)
@in_loop
async def test_a_drain_at_any_moment_runs_a_job_or_hands_it_back(
    stage: Stage, tier: Literal["quick", "night"], part: Slice, tmp_path: Path
) -> None:
    if stage.hub.store is not None:
        stage.hub.store.lease_s = LEASE_S
    session = Session(stage.broker(lease=LEASE_S), 60.0)
    session.start()
    queues = (await session.connected()).queues
    assert queues is not None
    made_leases: list[Leases] = []

    def lend(journal: Journal) -> Lessor:
        made_leases.append(Leases(session, journal, term_s=2.0, grow=lambda: None, node="me"))
        return made_leases[0]

    chance = random.Random(part.seed(3))
    async with company(tmp_path, Job(event="render", cmd="true"), concurrency=8, lessor=lend) as made:
        (leases,) = made_leases
        leases.kill = made.dispatcher.kill

        def end_soon(assignment: Assignment) -> None:
            asyncio.get_running_loop().call_soon(made.stage.finish, assignment.task_id)

        made.stage.on_start = end_soon
        outbox = Outbox(made.journal, session, tmp_path, lambda: 0.0)
        made.dispatcher.start()
        leases.inheritance.take(lambda _: SUBJECT)
        for number in range(part.share(ROUNDS[tier])):
            source = DurableSource(session, made.intake, leases, outbox, lambda why: LastWords(0.0, failed=why))
            source.start()
            body = b'{"task_id":"T%d"}' % number
            putting = asyncio.ensure_future(queues.put(SUBJECT, f"T{number}", body))
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                await putting
            await asyncio.wait_for(source.drain(), SOON_S)
            await putting
            if made.journal.record(f"T{number}") is None:  # handed back: whoever is next has it at once
                queue = await queues.open(SUBJECT, 1)
                (loan,) = await asyncio.wait_for(queue.borrow(1), SOON_S)
                assert loan.body == body
                # RabbitMQ takes back by itself what meets the end of a consumer under way, and counts that.
                assert loan.losses <= (stage.kind == "rabbitmq")
                await queues.accept(loan)
                await queue.close()
            else:
                await made.until_status(f"T{number}", Status.FINISH)
                await made.until(lambda: not leases.held)
        await outbox.stop()
        await leases.stop(SOON_S)
    await session.stop()
