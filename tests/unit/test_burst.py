"""What goes out together."""

from __future__ import annotations

import asyncio

from tests.journals import in_loop
from worker.brokers.burst import TURNS_MAX, Burst


@in_loop
async def test_what_is_said_in_turns_that_follow_each_other_goes_out_in_one_piece_and_in_order() -> None:
    written: list[list[bytes]] = []
    burst = Burst(written.append)
    burst.put(b"a", b"b")
    await asyncio.sleep(0)
    burst.put(b"c")
    assert (written, burst.size_bytes) == ([], 3)
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)
    assert (written, burst.size_bytes) == ([[b"a", b"b", b"c"]], 0)


@in_loop
async def test_somebody_who_never_stops_talking_holds_nothing_up() -> None:
    written: list[list[bytes]] = []
    burst = Burst(written.append)
    for _ in range(3 * TURNS_MAX):
        burst.put(b"x")
        await asyncio.sleep(0)
    assert len(written) >= 2


@in_loop
async def test_a_push_goes_out_at_once_and_nothing_twice() -> None:
    written: list[list[bytes]] = []
    burst = Burst(written.append)
    burst.put(b"a")
    burst.push()
    assert written == [[b"a"]]
    burst.put(b"b")
    for _ in range(2 * TURNS_MAX):
        await asyncio.sleep(0)
    assert written == [[b"a"], [b"b"]]
