"""A child as its parent sees it: what it hears, what it asks of itself, and how often it beats."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from job_item.link import Adopt, Beat, Cancel, Drain, Drained, Link, Ready, Retire, Swept
from job_item.room import Room
from job_item.settings import Settings
from supervisor.multi import multiprocess
from tests.journals import in_loop

RETIRE, DRAIN, CANCEL = Retire(), Drain(7.0), Cancel()


def settings(**members: Any) -> Settings:
    return Settings.model_validate(members)


@asynccontextmanager
async def room_with(wish: Settings) -> AsyncIterator[tuple[Room, Link[Any, Any]]]:
    """A room and the parent's end of its link."""
    ours, theirs = multiprocess.Pipe(duplex=True)
    loop = asyncio.get_running_loop()
    interrupt = signal.getsignal(signal.SIGINT)  # a room ignores it, and so would all that later tests start
    room = Room(wish, theirs)
    try:
        yield room, Link(ours)
    finally:
        room.drained()
        loop.remove_signal_handler(15)
        signal.signal(signal.SIGINT, interrupt)
        ours.close()
        theirs.close()


async def heard(room: Room, link: Link[Any, Any], *messages: Any) -> None:
    """Say all this to a room and wait until it has heard it."""
    done = asyncio.Event()
    room.adopt = lambda _: done.set()
    for message in (*messages, Adopt(b"")):
        link.send(message)
    await asyncio.wait_for(done.wait(), 60)


@pytest.mark.parametrize(
    ("messages", "drains", "stops", "cancels", "is_replaced", "grace_s"),
    [
        pytest.param([], False, False, False, False, 30.0, id="nothing"),
        pytest.param([Swept()], False, False, False, False, 30.0, id="swept"),
        pytest.param([DRAIN], True, True, False, False, 7.0, id="a drain"),
        pytest.param([CANCEL], True, True, True, False, 30.0, id="a cancel"),
        pytest.param([RETIRE], True, False, False, True, None, id="a replacement has no bound"),
        pytest.param([RETIRE, RETIRE], True, False, False, True, None, id="a replacement twice"),
        pytest.param([RETIRE, DRAIN], True, True, False, False, 7.0, id="a drain of a room that retires has one"),
        pytest.param([RETIRE, CANCEL], True, True, True, False, None, id="a cancel of a room that retires"),
        pytest.param([DRAIN, RETIRE], True, True, False, False, 7.0, id="a node that stops needs no successor"),
        pytest.param([DRAIN, RETIRE, CANCEL], True, True, True, False, 7.0, id="and can be cancelled"),
    ],
)
@in_loop
async def test_what_a_room_hears_is_what_it_is_asked(
    messages: list[Any], drains: bool, stops: bool, cancels: bool, is_replaced: bool, grace_s: float | None
) -> None:
    async with room_with(settings()) as (room, link):
        await heard(room, link, *messages)
        asked = [event.is_set() for event in (room.drain_asked, room.stop_asked, room.cancel_asked)]
        assert asked == [drains, stops, cancels]
        assert (room.is_replaced, room.grace_s) == (is_replaced, grace_s)


@pytest.mark.parametrize(
    ("messages", "grace_s"),
    [([], 5.0), ([DRAIN], 7.0), ([RETIRE], None)],
)
@in_loop
async def test_a_new_grace_holds_for_a_drain_that_was_not_asked_for_yet(
    messages: list[Any], grace_s: float | None
) -> None:
    async with room_with(settings()) as (room, link):
        await heard(room, link, *messages)
        room.follow(settings(drain_grace=5))
        assert room.grace_s == grace_s


@in_loop
async def test_a_signal_of_a_room_that_retires_drains_within_the_grace_in_force() -> None:
    async with room_with(settings()) as (room, link):
        await heard(room, link, RETIRE)
        room.follow(settings(drain_grace=5))
        room._ask()
        assert (room.is_replaced, room.grace_s, room.cancel_asked.is_set()) == (False, 5.0, False)
        room._ask()
        assert room.cancel_asked.is_set()


@in_loop
async def test_a_new_interval_of_the_heartbeat_holds_at_once_and_not_before_the_room_is_ready() -> None:
    async with room_with(settings(heartbeat={"interval": 3000, "timeout": 9000})) as (room, link):
        room.follow(settings(heartbeat={"interval": 2000, "timeout": 9000}))
        room.ready()
        assert link.receive() == Ready()
        room.follow(settings(heartbeat={"interval": 0.001, "timeout": 9000}))
        for _ in range(3):
            assert await asyncio.to_thread(link.receive) == Beat()
        room.drained()
        while (message := link.receive()) == Beat():
            continue
        assert message == Drained()
        assert room._next_beat is None
