"""A watchman that is to stop, whatever it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from execs.watchman import Watchman
from job_item.errors import Unavailable
from job_item.keeper.command import Command, Ended
from job_item.keeper.pool import KeeperPool
from job_item.settings import Exec
from tests.conftest import eventually

COMMAND = Command(("true",), {}, "/", "/dev/null", 0)


class OneRun:
    """A pool that gives out one run, which ends when it is stopped; `away` makes it have none."""

    def __init__(self, *, away: bool) -> None:
        self._away = away
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.asked = asyncio.Event()
        self.graces: list[float] = []

    def start(self, command: Command, news: Callable[[dict[str, Any]], None]) -> OneRun:
        self.asked.set()
        if self._away:
            raise Unavailable("ERR-RUN-006", "away")
        return self

    def stop(self, how: str, grace_s: float) -> None:
        self.graces.append(grace_s)
        self.ended.set_result(Ended("terminate", signal=15))


@pytest.mark.parametrize("away", [False, True])
def test_an_exec_that_is_just_being_started_is_asked_to_end(away: bool) -> None:
    async def body() -> None:
        pool = OneRun(away=away)
        watchman = Watchman(Exec(key="k", cmd="true"), COMMAND, cast(KeeperPool, pool), lambda: None)
        task = asyncio.create_task(watchman.watch())
        await pool.asked.wait()
        assert watchman.state.state == "starting"
        watchman.stop(5.0)
        assert await asyncio.wait_for(task, 5) is False
        assert (watchman.state.state, watchman.down.is_set()) == ("stopped", True)
        assert pool.graces == ([] if away else [5.0])

    asyncio.run(body())


def test_an_exec_that_waits_for_its_next_try_stops_at_once() -> None:
    async def body() -> None:
        pool = OneRun(away=False)
        watchman = Watchman(Exec(key="k", cmd="true"), COMMAND, cast(KeeperPool, pool), lambda: None)
        task = asyncio.create_task(watchman.watch())
        await pool.asked.wait()
        pool.ended.set_result(Ended("exit", 1))
        await asyncio.to_thread(eventually, lambda: watchman.state.state == "backoff")
        watchman.stop(5.0)
        assert await asyncio.wait_for(task, 0.5) is False
        assert pool.graces == []

    asyncio.run(body())
