"""Keepers where the system has no processes or descriptors left, or cannot do what a job asks for."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_item.errors import Unavailable
from job_item.keeper import pool as pool_module
from job_item.keeper import zygote_link
from job_item.keeper.pool import KeeperPool
from job_item.policy import Backoff
from tests.conftest import eventually
from tests.pools import run, shell_in, with_pool, zygote_of_this_process

FAILING_BOOT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from job_item.keeper.zygote import main
fork, left = os.fork, iter(range({times}))
def fail_first():
    if next(left, None) is not None:
        raise OSError(11, "no process to be had")
    return fork()
os.fork = fail_first
main(3)
"""


def test_a_keeper_that_cannot_be_forked_harms_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(zygote_link, "_BOOT", FAILING_BOOT.format(times=2))

    async def use(pool: KeeperPool) -> None:
        for _ in range(2):
            ended = await run(pool, shell_in(tmp_path, "exit 3"))
            assert (ended.end, ended.step, ended.errno, ended.may_pass) == ("failed", "fork", errno.EAGAIN, True)
        zygote = zygote_of_this_process()
        assert (await run(pool, shell_in(tmp_path, "exit 3"))).exit_code == 3
        assert zygote_of_this_process() == zygote

    with_pool(use)


def test_a_zygote_without_descriptors_starts_nothing_and_harms_nobody(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        job = pool.start(shell_in(tmp_path, "while [ ! -e go ]; do sleep 0.01; done; exit 4"))
        zygote = zygote_of_this_process()
        await asyncio.to_thread(eventually, lambda: os.listdir(f"/proc/{zygote}/task/{zygote}/") and _children(zygote))
        before = resource.prlimit(zygote, resource.RLIMIT_NOFILE)
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, (3, before[1]))
        ended = await run(pool, shell_in(tmp_path, "exit 3"))
        assert (ended.end, ended.step, ended.may_pass) == ("failed", "fork", True)
        resource.prlimit(zygote, resource.RLIMIT_NOFILE, before)
        assert (await run(pool, shell_in(tmp_path, "exit 3"))).exit_code == 3
        (tmp_path / "go").touch()
        assert (await job.ended).exit_code == 4

    with_pool(use)


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_a_room_without_descriptors_is_told_to_try_again(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (4, hard))
        try:
            with pytest.raises(Unavailable) as told:
                pool.start(shell_in(tmp_path, "true"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert told.value.code == "ERR-RUN-014"
        assert (await run(pool, shell_in(tmp_path, "exit 3"))).exit_code == 3

    with_pool(use)


def test_a_zygote_that_cannot_be_started_at_once_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spawn, left = os.posix_spawn, iter(range(3))

    def fail_first(*args: Any, **options: Any) -> int:
        if next(left, None) is not None:
            raise BlockingIOError(errno.EAGAIN, "no process to be had")
        return spawn(*args, **options)

    async def use(pool: KeeperPool) -> None:
        job = pool.start(shell_in(tmp_path, "sleep 600"))
        monkeypatch.setattr(os, "posix_spawn", fail_first)
        descriptors = len(os.listdir("/proc/self/fd"))
        os.kill(zygote_of_this_process(), signal.SIGKILL)
        assert (await job.ended).end == "lost"
        await asyncio.to_thread(eventually, lambda: pool._zygote is not None)
        assert next(left, None) is None
        assert (await run(pool, shell_in(tmp_path, "exit 3"))).exit_code == 3
        assert len(os.listdir("/proc/self/fd")) <= descriptors

    with_pool(use)


def test_a_room_that_gets_no_zygote_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise BlockingIOError(errno.EAGAIN, "no process to be had")

    monkeypatch.setattr(pool_module, "OPEN_PAUSES", Backoff(0.001, 1.0, 0.001, 0.0))
    fatal: asyncio.Queue[BaseException] = asyncio.Queue()

    async def use(pool: KeeperPool) -> None:
        job = pool.start(shell_in(tmp_path, "sleep 600"))
        monkeypatch.setattr(os, "posix_spawn", fail)
        os.kill(zygote_of_this_process(), signal.SIGKILL)
        assert (await job.ended).end == "lost"
        assert isinstance(await fatal.get(), BlockingIOError)

    with_pool(use, fatal.put_nowait)


def test_what_a_command_is_refused_is_told_by_name(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        ended = await run(pool, replace(shell_in(tmp_path, "true"), cgroup="/no/such/cgroup"))
        assert (ended.end, ended.step, ended.text, ended.errno) == ("failed", "cgroup", "/no/such/cgroup", errno.ENOENT)
        ended = await run(pool, replace(shell_in(tmp_path, "true"), argv=(str(tmp_path),), nice=1))
        assert (ended.step, ended.text, ended.errno) == ("start", str(tmp_path), errno.EACCES)

    with_pool(use)


def test_a_path_that_is_no_text_is_told_in_a_way_that_can_be_kept(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        ended = await run(pool, replace(shell_in(tmp_path, "true"), cwd=os.fsdecode(os.fsencode(tmp_path) + b"/\xff")))
        assert ended.step == "directory"
        assert ended.text.encode().endswith(rb"\udcff")

    with_pool(use)


def test_output_that_the_disk_refuses_is_counted(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        (tmp_path / "logs").write_text("no folder")
        ended = await run(pool, shell_in(tmp_path, "echo 12345678"))
        assert (ended.exit_code, ended.refused_bytes, ended.usage.dropped_bytes) == (0, 9, 9)

    with_pool(use)
