"""A pool of keepers for tests: opened, used for a bounded time, closed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from job_item.keeper.command import Command, Ended
from job_item.keeper.pool import KeeperPool
from job_item.process import become_subreaper, children_of
from tests.conftest import eventually

Use = Callable[[KeeperPool], Awaitable[None]]


def with_pool(use: Use, on_fatal: Callable[[BaseException], None] | None = None) -> None:
    """Run `use` with a pool of its own, bounded in time."""

    async def body() -> None:
        pool = KeeperPool(on_fatal=on_fatal)
        pool.open()
        try:
            await asyncio.wait_for(use(pool), 120)
        finally:
            await pool.close()

    become_subreaper()
    asyncio.run(body())


def run(pool: KeeperPool, command: Command) -> Awaitable[Ended]:
    """Start a command; await its end."""
    return pool.start(command).ended


def shell_in(folder: Path, text: str) -> Command:
    """A command of bash in `folder`, its output in `logs/out` there."""
    environ = {"PATH": os.environ["PATH"]}
    return Command(("bash", "-c", text), environ, str(folder), str(folder / "logs" / "out"), 1 << 20, grace_s=0.2)


def zygote_of_this_process() -> int:
    """The pid of the one zygote; this process may have other children, orphans that fell to it.

    One that was spawned just now is waited for: its command line is empty while the kernel is about to run it.
    """

    def found() -> list[int]:
        return [pid for pid in children_of(os.getpid()) if b"job_item.keeper.zygote" in command_line(pid)]

    (zygote,) = eventually(found, what="there is a zygote")
    return zygote


def command_line(pid: int) -> bytes:
    """The command line of a process; empty when it has none, or is gone by now."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def keeper_of_this_process() -> int:
    """The pid of the one keeper."""
    (keeper,) = children_of(zygote_of_this_process())
    return keeper
