"""The standing connection: made anew for ever, with all that is subscribed; said once per change; deafness noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from job_item.errors import NodeError, Unavailable
from tests.journals import in_loop
from worker.brokers import session as module
from worker.brokers.embedded import EmbeddedBroker, EmbeddedLife, Hub
from worker.brokers.seam import Delivery, Take
from worker.brokers.session import Session

DEADLINE_S = 60.0


@asynccontextmanager
async def session_with(hub: Hub, interval_s: float = 60.0, broker: Any = None) -> AsyncIterator[Session]:
    """A session that is stopped at the end."""
    session = Session(broker or EmbeddedBroker(hub), interval_s)
    try:
        yield session
    finally:
        await session.stop()


async def until(look: Any, within_s: float = DEADLINE_S) -> None:
    """Let the loop turn until `look` says yes."""
    async with asyncio.timeout(within_s):
        while not look():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0.001)


async def tell(hub: Hub, subject: str, body: bytes = b"x") -> None:
    """Publish as somebody else does."""
    other = await EmbeddedBroker(hub).connect()
    await other.publish(subject, body)
    await other.close()


def keep(heard: list[bytes]) -> Take:
    async def take(delivery: Delivery) -> None:
        heard.append(delivery.body)
        await delivery.accept()

    return take


@in_loop
async def test_what_is_subscribed_is_subscribed_again_on_each_connection() -> None:
    hub, heard = Hub(), list[bytes]()
    async with session_with(hub) as session:
        early = session.subscribe("early", "P", keep(heard))
        session.start()
        await session.connected()
        late = session.subscribe("late", None, keep(heard))
        for turn in range(3):
            await early.is_confirmed.wait()
            await late.is_confirmed.wait()
            await tell(hub, "early", b"e%d" % turn)
            await tell(hub, "late", b"l%d" % turn)
            await until(lambda wanted=2 * (turn + 1): len(heard) == wanted)
            hub.stop()
            await until(lambda: session.connection is None)
            assert not early.is_confirmed.is_set()
            assert not session.state.connected
            hub.is_open = True
            await until(lambda: session.state.connected)
        await early.cancel()
        hub.stop()
        await until(lambda: session.connection is None)
        hub.is_open = True
        await until(lambda: session.state.connected)
        await tell(hub, "early")
        await tell(hub, "late", b"end")
        await until(lambda: heard[-1] == b"end")
        assert len(heard) == 7


def test_a_node_tries_so_often_that_it_is_back_within_five_seconds_after_its_broker() -> None:
    assert max(module.PAUSES.delay_s(failures, 0.0) for failures in range(1, 10_000)) <= 3.0


@in_loop
async def test_a_loss_is_said_once_and_its_reason_is_kept_up_to_date(capfd: pytest.CaptureFixture[str]) -> None:
    tries = 0
    reasons: list[str | None] = []

    class Away:
        name = "embedded"
        is_keeper = False
        is_dear = False
        hub = Hub()

        async def connect(self) -> EmbeddedLife:
            nonlocal tries
            tries += 1
            reasons.append(session.state.reason)
            if tries < 4:
                raise Unavailable("ERR-BRK-001", f"away {tries}")
            return EmbeddedLife(self.hub)

    async with session_with(Hub(), broker=Away()) as session:
        session.start()
        await until(lambda: session.state.connected)
        assert session.state.reason is None
    assert reasons[1:] == ["away 1", "away 2", "away 3"]
    told = capfd.readouterr().err
    assert (told.count("broker.lost"), told.count("broker.connected")) == (1, 1)


@in_loop
async def test_a_deaf_connection_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PROBE_S", 0.05)
    hub, heard = Hub(), list[bytes]()
    async with session_with(hub, interval_s=0.05) as session:
        wish = session.subscribe("work", "P", keep(heard))
        session.start()
        await wish.is_confirmed.wait()
        first = session.connection
        hub.is_deaf = True
        await until(lambda: session.connection is not first)
        hub.is_deaf = False
        await until(lambda: session.state.connected)
        async with asyncio.timeout(DEADLINE_S):
            while not heard:  # a loop that had no turn for a while takes a sound connection for deaf, too
                await wish.is_confirmed.wait()
                await tell(hub, "work")
                await asyncio.sleep(0.01)


class Stuck(EmbeddedLife):
    """Says that work waits, except on one subject, and hands none over."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.asked: list[str] = []

    async def waiting(self, subject: str) -> int | None:
        self.asked.append(subject)
        return 0 if subject == "P.empty" else 5


class StuckBroker:
    """Its first connection is stuck."""

    name = "embedded"
    is_keeper = False
    is_dear = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.made: list[EmbeddedLife] = []

    async def connect(self) -> EmbeddedLife:
        self.made.append(EmbeddedLife(self.hub) if self.made else Stuck(self.hub))
        return self.made[-1]


@in_loop
async def test_work_that_waits_for_free_slots_has_the_connection_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_S", 0.05)
    monkeypatch.setattr("worker.brokers.watchdog.STUCK_S", 0.05)
    broker = StuckBroker(Hub())
    async with session_with(broker.hub, 0.02, broker) as session:
        session.subscribe("P.e", "P", keep([]), prefetch=4).is_hungry = lambda: True
        session.start()
        await until(lambda: len(broker.made) == 2)


@in_loop
async def test_work_that_waits_for_slots_that_its_event_does_not_have_is_no_reason_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PROBE_S", 60.0)
    monkeypatch.setattr(module, "STUCK_S", 0.01)
    monkeypatch.setattr("worker.brokers.watchdog.STUCK_S", 0.01)
    broker = StuckBroker(Hub())
    async with session_with(broker.hub, 0.005, broker) as session:
        session.subscribe("P.full", "P", keep([]), prefetch=1)
        session.subscribe("P.empty", "P", keep([]), prefetch=4).is_hungry = lambda: True
        session.start()
        await session.connected()
        (stuck,) = broker.made
        assert isinstance(stuck, Stuck)
        await until(lambda: len(stuck.asked) >= 20)
        assert set(stuck.asked) == {"P.empty"}
        assert session.connection is stuck


class Refusing(EmbeddedLife):
    """Refuses one subject for good."""

    async def subscribe(self, subject: str, group: str | None, take: Take, *, prefetch: int | None = None) -> Any:
        if subject == "forbidden":
            raise NodeError("ERR-BRK-003", "no permission")
        return await super().subscribe(subject, group, take, prefetch=prefetch)


class RefusingBroker:
    """Its connections refuse."""

    name = "embedded"
    is_keeper = False
    is_dear = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def connect(self) -> EmbeddedLife:
        return Refusing(self.hub)


@in_loop
async def test_a_refused_subscription_does_not_keep_the_others() -> None:
    hub, heard = Hub(), list[bytes]()
    async with session_with(hub, broker=RefusingBroker(hub)) as session:
        session.subscribe("forbidden", None, keep(heard))
        allowed = session.subscribe("allowed", None, keep(heard))
        session.start()
        await allowed.is_confirmed.wait()
        await until(lambda: session.state.connected)
        assert session.refusals == ("forbidden: no permission",)
        await tell(hub, "allowed")
        await until(lambda: heard)


@in_loop
async def test_what_raises_in_a_take_ends_nothing() -> None:
    hub, heard = Hub(), list[bytes]()

    async def take(delivery: Delivery) -> None:
        heard.append(delivery.body)
        raise RuntimeError("a bug")

    async with session_with(hub) as session:
        wish = session.subscribe("s", None, take)
        session.start()
        await wish.is_confirmed.wait()
        await tell(hub, "s")
        await tell(hub, "s")
        await until(lambda: len(heard) == 2)
        assert session.connection is not None


@in_loop
async def test_a_client_that_fails_in_a_way_of_its_own_is_tried_again() -> None:
    class Odd:
        name = "embedded"
        is_keeper = False
        is_dear = False
        tries = 0

        async def connect(self) -> EmbeddedLife:
            self.tries += 1
            if self.tries == 1:
                raise ValueError("odd")
            if self.tries == 2:
                raise Unavailable("ERR-BRK-001", "away")
            return EmbeddedLife(Hub())

    async with session_with(Hub(), broker=Odd()) as session:
        session.start()
        await until(lambda: session.state.connected)
