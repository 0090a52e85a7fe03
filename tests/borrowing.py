"""A durable source for tests, at work on a broker in memory whose loans the tests let run out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from job_item.settings import Job
from tests.dispatching import Company, company
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.queues import Queues
from worker.brokers.session import Session
from worker.brokers.stored import Store
from worker.dead import DeadLetters
from worker.journal import Journal, LastWords
from worker.leases import Leases
from worker.outbox import Outbox
from worker.seams import Lessor
from worker.sources.durable import DurableSource

SUBJECT = "local.render"
LEASE_S = 600.0
"""No machine is so busy that this passes by itself; `tests.clocks.pass_time` lets it pass."""


@dataclass
class Post:
    """A durable source with what it works with."""

    made: Company
    hub: Hub
    leases: Leases
    source: DurableSource
    queues: Queues
    dead: DeadLetters

    async def put(self, task_id: str, data: object = None, round: int = 0) -> None:  # noqa: A002 - the word
        """Ask for a job."""
        await self.queues.put(SUBJECT, task_id, json.dumps({"task_id": task_id, "data": data}).encode(), round)

    def said(self, task_id: str) -> list[tuple[str, bytes]]:
        """What is to be said of a job."""
        sayings = self.made.journal.sayings(0, 100)
        return [(saying.kind, saying.body) for saying in sayings if saying.task_id == task_id]

    @property
    def store(self) -> Store:
        """What the broker has."""
        assert self.hub.store is not None
        return self.hub.store

    @property
    def is_empty(self) -> bool:
        """Whether the broker has no job, lent or not."""
        return not any(self.store.waiting.values()) and not self.leases.held


@asynccontextmanager
async def post(path: Path, spec: Job, *, slots: int = 2) -> AsyncIterator[Post]:
    """Everything, at work; the outbox says nothing."""
    hub = Hub(store=Store(LEASE_S))
    session = Session(EmbeddedBroker(hub), 60.0)
    made_leases: list[Leases] = []

    def lend(journal: Journal) -> Lessor:
        made_leases.append(Leases(session, journal, term_s=LEASE_S, grow=lambda: None, node="me"))
        return made_leases[0]

    async with company(path, spec, concurrency=slots, lessor=lend) as made:
        (leases,) = made_leases
        leases.kill = made.dispatcher.kill
        outbox = Outbox(made.journal, session, path, lambda: 0.0)
        source = DurableSource(session, made.intake, leases, outbox, lambda why: LastWords(0.0, failed=why))
        await outbox.stop()
        made.dispatcher.start()
        session.start()
        connection = await session.connected()
        assert connection.queues is not None
        source.start()
        leases.inheritance.take(lambda _: SUBJECT)
        try:
            yield Post(made, hub, leases, source, connection.queues, DeadLetters(made.intake, session))
        finally:
            await source.drain()
            made.dispatcher.close()
            made.dispatcher.stop_all("terminate")
            await made.dispatcher.idle()
            await leases.stop(60.0)
            await session.stop()


def spec(**members: object) -> Job:
    """The job of these tests."""
    return Job.model_validate({"event": "render", "cmd": "true", **members})
