"""A watchman whose pool is a stand-in: starts that are refused, runs that end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from execs.policy import Rules
from execs.probes import Inquirer
from execs.tables import Cue, Stage
from execs.watchman import Watchman
from job_item.errors import Unavailable
from job_item.execspec import Exec
from job_item.keeper.command import Command, Ended
from job_item.keeper.pool import KeeperPool
from tests.rosters import soon

COMMAND = Command(("true",), {}, "/", "/dev/null", 0)


class Desired:
    """A pool that gives out runs; each ends when it is stopped. While `is_away` it has none."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.starts = 0
        self.stops: list[tuple[float, int | None]] = []

    def start(self, command: Command, news: Callable[[dict[str, Any]], None]) -> Desired:
        self.starts += 1
        if self.is_away:
            raise Unavailable("ERR-RUN-006", "away")
        self.ended = asyncio.get_running_loop().create_future()
        return self

    def stop(self, how: str, grace_s: float, number: int | None = None) -> None:
        self.stops.append((grace_s, number))
        self.ended.set_result(Ended("terminate", signal=15))


def watched(use: Callable[[Watchman, Desired], Awaitable[None]], *, is_away: bool = False) -> None:
    async def body() -> None:
        pool = Desired(is_away=is_away)
        keepers = cast(KeeperPool, pool)
        spec = Exec(key="k", cmd="true", backoff=0.1)
        watchman = Watchman(spec, COMMAND, keepers, Inquirer(keepers), lambda: None, lambda _: None)
        await asyncio.wait_for(use(watchman, pool), 60)

    asyncio.run(body())


async def until_stage(watchman: Watchman, stage: Stage) -> None:
    """Wait for a stage, and go on in the turn of the loop that follows it: it may be a short one."""
    async with asyncio.timeout(60):
        while watchman.life.stage is not stage:  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("is_away", [False, True])
def test_an_exec_that_is_just_being_started_is_asked_to_end(is_away: bool) -> None:
    async def use(watchman: Watchman, pool: Desired) -> None:
        watchman.feed(Cue.SATISFIED)
        assert watchman.state(None).state == "starting"
        watchman.feed(Cue.STOP)
        await until_stage(watchman, Stage.STOPPED)
        assert pool.stops == ([] if is_away else [(5.0, 15)])

    watched(use, is_away=is_away)


def test_an_exec_that_waits_for_its_next_try_stops_at_once_and_stays_so() -> None:
    async def use(watchman: Watchman, pool: Desired) -> None:
        watchman.feed(Cue.SATISFIED)
        pool.ended.set_result(Ended("exit", 1))
        await until_stage(watchman, Stage.BACKOFF)
        watchman.feed(Cue.STOP)
        assert watchman.life.stage is Stage.STOPPED
        await asyncio.sleep(0.2)  # longer than the pause
        assert (watchman.life.stage, pool.starts) == (Stage.STOPPED, 1)

    watched(use)


def test_a_start_that_the_system_refuses_is_tried_again_and_counts_as_no_failure() -> None:
    async def use(watchman: Watchman, pool: Desired) -> None:
        watchman.feed(Cue.SATISFIED)
        pool.is_away = False
        await soon(lambda: pool.starts == 2)
        pool.ended.set_result(Ended("failed", errno=11, step="fork"))
        await soon(lambda: pool.starts == 3)
        assert (watchman.life.stage, watchman.life.tries) == (Stage.STARTING, 1)
        assert watchman.life.rules == Rules.of(watchman.spec)

    watched(use, is_away=True)


def test_an_order_to_restart_what_could_not_be_started_yet_starts_it_once() -> None:
    async def use(watchman: Watchman, pool: Desired) -> None:
        watchman.feed(Cue.SATISFIED)
        watchman.feed(Cue.RESTART)
        await until_stage(watchman, Stage.WAITING)
        pool.is_away = False
        watchman.feed(Cue.SATISFIED)
        assert pool.starts == 2
        await asyncio.sleep(0.3)  # longer than the pause of the start that was refused
        assert pool.starts == 2

    watched(use, is_away=True)
