"""The output of an attempt that ends while a piece of it is on its way."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.desks import MemoryLog
from tests.journals import in_loop
from worker.reporters.live import Live


@in_loop
async def test_what_is_on_its_way_at_the_end_counts_as_sent_when_somebody_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.reporters.live.SAYING_S", 60.0)
    begun, answered = asyncio.Event(), asyncio.Event()
    said: list[bytes] = []

    async def show(connection: object, subject: str, data: bytes) -> None:
        said.append(data)
        begun.set()
        await answered.wait()

    async def connected() -> Any:
        return SimpleNamespace(payload_limit=4)

    async def cleared(task_id: str) -> None:
        pass

    outbox: Any = SimpleNamespace(cleared=cleared, voice=SimpleNamespace(show=show))
    session: Any = SimpleNamespace(connected=connected)
    output: Any = MemoryLog()
    output.write("stdout", b"one two three")
    live = Live("T1", output, session, outbox)
    live.tell()
    await begun.wait()
    stopping = asyncio.ensure_future(live.stop())
    await asyncio.sleep(0)
    answered.set()
    assert await stopping == 4
    assert said == [b"one "]
