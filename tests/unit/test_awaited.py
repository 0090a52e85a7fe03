"""The answers that are waited for on a connection: the first that is late is told, whatever was asked after it."""

from __future__ import annotations

import asyncio

import pytest

from job_item.errors import Unavailable
from tests.journals import in_loop
from tests.unit.test_session import until
from worker.brokers.awaited import Awaited


@in_loop
async def test_an_answer_that_does_not_come_is_told_though_others_with_more_time_are_waited_for() -> None:
    silences = list[float]()
    awaited = Awaited(silences.append)
    loop = asyncio.get_running_loop()
    patient, short, answered = (loop.create_future() for _ in range(3))
    awaited.add(patient, 60.0)
    awaited.add(answered, 0.001)
    awaited.add(short, 0.002)
    awaited.drop(answered)
    await until(lambda: silences)
    assert silences == [0.002]
    awaited.fail(Unavailable("ERR-BRK-002", "gone"))
    for answer in (patient, short):
        with pytest.raises(Unavailable, match="gone"):
            await answer
    assert not answered.done()


@in_loop
async def test_where_all_have_come_nobody_is_told_and_the_next_has_its_own_time() -> None:
    silences = list[float]()
    awaited = Awaited(silences.append)
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()
    awaited.add(first, 0.001)
    awaited.drop(first)
    rung = loop.create_future()
    loop.call_later(0.002, rung.set_result, None)  # behind the alarm
    await rung
    assert not silences
    awaited.add(second, 0.001)
    await until(lambda: silences)
    assert silences == [0.001]
    awaited.fail(Unavailable("ERR-BRK-002", "gone"))
    assert second.exception() is not None
