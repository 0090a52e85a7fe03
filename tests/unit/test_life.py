"""One life of a connection: whether a probe has come back is judged by what the loop has read."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from job_item.errors import Unavailable
from tests.journals import in_loop
from worker.brokers.life import Life

LIMIT_S = 0.1


@in_loop
async def test_a_probe_whose_answer_came_while_this_process_stood_still_is_not_late() -> None:
    loop, life = asyncio.get_running_loop(), Life("the broker", ())
    came: asyncio.Future[None] = loop.create_future()
    ours, theirs = socket.socketpair()

    def read() -> None:  # as a client does, whose reader passes it on in one of the next turns
        loop.remove_reader(ours)
        loop.call_soon(loop.call_soon, came.set_result, None)

    with ours, theirs:
        loop.add_reader(ours, read)
        probing = asyncio.ensure_future(life.await_probe(came, LIMIT_S))
        await asyncio.sleep(0)
        theirs.send(b"x")
        time.sleep(LIMIT_S * 3)  # noqa: ASYNC251 - the whole process stands still
        await probing
    assert not life.is_deaf


@in_loop
async def test_a_probe_that_does_not_come_back_is_deafness() -> None:
    life = Life("the broker", ())
    with pytest.raises(Unavailable) as deaf:
        await life.await_probe(asyncio.get_running_loop().create_future(), LIMIT_S)
    assert (deaf.value.code, life.is_deaf) == ("ERR-BRK-004", True)
