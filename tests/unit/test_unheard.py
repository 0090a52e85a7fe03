"""Tasks of which something is said that nobody takes: when each is tried again, and what wakes them."""

from __future__ import annotations

import asyncio

import pytest

from tests.journals import in_loop
from tests.unit.test_session import until
from worker import unheard as module
from worker.unheard import Unheard


class Waiting:
    """Tasks that wait for their next try; `tried` are those whose wait has ended, in their order."""

    def __init__(self, count: int, *, is_patient: bool) -> None:
        self.unheard = Unheard(is_patient=is_patient)
        self.tried: list[str] = []
        self._tasks = [asyncio.get_running_loop().create_task(self._wait(f"t{number}")) for number in range(count)]

    async def _wait(self, task_id: str) -> None:
        for _ in range(module.QUICK_TRIES - 1):  # it has had the tries that come by themselves
            self.unheard._places.setdefault(task_id, module._Place(0.0)).tries += 1
        await self.unheard.next_try(task_id)
        self.tried.append(task_id)

    async def stop(self) -> None:
        self.unheard.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@in_loop
async def test_what_is_taken_at_its_first_try_wakes_none_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCOUT_S", 1e6)  # none goes ahead of the others meanwhile
    for is_patient in (True, False):
        waiting = Waiting(100, is_patient=is_patient)
        await until(lambda waiting=waiting: len(waiting.unheard) == 100)
        for number in range(1_000):
            waiting.unheard.heard(f"new{number}")
        assert not any(place.wake.is_set() for place in waiting.unheard._places.values())
        await waiting.stop()


@in_loop
async def test_one_that_had_waited_and_is_taken_wakes_some_in_turn_and_never_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SCOUT_S", 1e6)
    waiting = Waiting(200, is_patient=True)
    await until(lambda: len(waiting.unheard) == 200)
    waiting.unheard.heard("t0")
    await until(lambda: len(waiting.tried) == module.FOLLOWERS)
    waiting.unheard.heard("t1")
    await until(lambda: len(waiting.tried) == 2 * module.FOLLOWERS)
    assert waiting.tried == [f"t{number}" for number in range(2 * module.FOLLOWERS)]
    await waiting.stop()


@in_loop
async def test_without_a_manager_each_keeps_its_own_moments() -> None:
    waiting = Waiting(100, is_patient=False)
    await until(lambda: len(waiting.unheard) == 100)
    waiting.unheard.heard("t0")
    assert not any(place.wake.is_set() for place in waiting.unheard._places.values())
    await waiting.stop()
