"""A roster of execs for tests, with real keepers, in the process of the test."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from execs.roster import Roster
from job_item.keeper.pool import KeeperPool
from job_item.link import ChildStart, ExecState
from job_item.orders import ExecOrder, Refusal, Verb
from job_item.settings import Settings
from tests.pools import with_pool

Found = TypeVar("Found")


async def soon(look: Callable[[], Found], what: Callable[[], str] = str, within_s: float = 60.0) -> Found:
    """Let the loop turn until `look` gives something true; `what` tells more when it does not."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, what()
        await asyncio.sleep(0.005)
    return found


class Muster:
    """What a test sees of a roster. `trace` holds each state that was told, as (key, state) in order."""

    def __init__(self, folder: Path, pool: KeeperPool) -> None:
        self.folder = folder
        self.states: dict[str, ExecState] = {}
        self.trace: list[tuple[str, str]] = []
        self.cascaded: list[str] = []
        self.pool = pool
        self.roster = Roster(pool, os.environ, self._hear, lambda spec: self.cascaded.append(spec.key))

    def _hear(self, states: tuple[ExecState, ...]) -> None:
        for state in states:
            old = self.states.get(state.key)
            if old is None or old.state != state.state:
                self.trace.append((state.key, state.state))
        self.states = {state.key: state for state in states}

    def adopt(self, execs: list[dict[str, Any]], **settings: Any) -> None:
        """New settings, as the room takes them over."""
        model = Settings.model_validate({"execs": execs, **settings})
        start = ChildStart(
            settings=model,
            config_path=self.folder / "config.yaml",
            state_dir=self.folder / "state",
            work_dir=self.folder,
            identity="node",
            incarnation="one",
            dotenv={},
            base_url="http://127.0.0.1:1",
            supervisor_pid=None,
            started_at=0.0,
        )
        self.roster.adopt(start)

    def order(self, key: str, verb: Verb) -> Refusal | None:
        """Give an order."""
        return self.roster.obey(ExecOrder(1, key, verb))

    def log(self, key: str) -> str:
        """What an exec has written."""
        path = self.folder / "state" / "execs" / f"{key}.log"
        return path.read_text() if path.exists() else ""

    def written(self, name: str) -> str:
        """What stands in a file of the folder."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    async def until(self, look: Callable[[], Found], what: str = "", within_s: float = 60.0) -> Found:
        """Let the loop turn until `look` gives something true."""
        return await soon(look, lambda: f"{what}; states: {self.states}", within_s)

    async def until_state(self, key: str, state: str, **more: Any) -> ExecState:
        """Wait for a state of an exec, with these members."""
        await self.until(
            lambda: key in self.states and _has(self.states[key], state=state, **more), f"{key} is {state} {more}"
        )
        return self.states[key]

    async def end(self) -> None:
        """Close the roster and wait until all are gone."""
        self.roster.close()
        await asyncio.wait_for(self.roster.gone.wait(), 60)


def _has(told: ExecState, **wanted: Any) -> bool:
    return all(getattr(told, name) == value for name, value in wanted.items())


def mustered(folder: Path, execs: list[dict[str, Any]], use: Callable[[Muster], Awaitable[None]]) -> Muster:
    """Run `use` with an open roster of these execs; at the end all of them are gone."""
    musters: list[Muster] = []

    async def body(pool: KeeperPool) -> None:
        muster = Muster(folder, pool)
        musters.append(muster)
        muster.adopt(execs)
        muster.roster.open()
        await use(muster)
        await muster.end()

    with_pool(body)
    return musters[0]
