"""What is asked of the whole node over the broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from job_item.policy import Window
from tests.journals import in_loop
from tests.unit.test_session import until
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.session import Session
from worker.sources import summons as module
from worker.sources.summons import Summons


@dataclass
class Node:
    """What was asked of it."""

    session: Session
    summons: Summons
    reloads: list[int] = field(default_factory=list)
    stops: list[int] = field(default_factory=list)

    async def publish(self, subject: str) -> None:
        await (await self.session.connected()).publish(subject, b"anything")


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    session = Session(EmbeddedBroker(Hub()), 60.0)
    reloads, stops = list[int](), list[int]()
    summons = Summons(session, "P", "I", lambda: reloads.append(1), lambda: stops.append(1))
    summons.start()
    session.start()
    try:
        await session.connected()
        yield Node(session, summons, reloads, stops)
    finally:
        await summons.drain()
        await session.stop()


@in_loop
async def test_a_restart_is_asked_for_at_once_and_then_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTARTS", Window(limit=1, window_s=2.0))
    async with node() as made:
        for _ in range(5):
            await made.publish("P.restart")
        await until(lambda: made.reloads)
        await until(lambda: len(made.reloads) >= 2)
        assert (made.reloads, made.stops) == ([1, 1], [])


@in_loop
async def test_a_shutdown_is_for_the_node_whose_name_it_has() -> None:
    async with node() as made:
        await made.publish("J.shutdown")
        await made.publish("I.restart")
        await made.publish("I.shutdown")
        await until(lambda: made.stops == [1])
        assert made.reloads == []


@in_loop
async def test_nothing_is_obeyed_after_the_end() -> None:
    async with node() as made:
        await made.publish("P.restart")
        await until(lambda: made.reloads == [1])
        await made.publish("P.restart")  # waits for its time
        await made.summons.drain()
        await made.publish("I.shutdown")
        assert (made.reloads, made.stops) == ([1], [])
