"""Keepers and zygotes that are stopped, and commands that try to confuse them: a slot always comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from job_item.keeper import remote, taskfile, zygote_link
from job_item.keeper.pool import KeeperPool
from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import is_alive
from tests.orphans import helpers_with, new_mark, processes_with
from tests.pools import keeper_of_this_process, run, shell_in, with_pool, zygote_of_this_process


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keepers are given up sooner, where that changes nothing of what is expected."""
    monkeypatch.setattr(remote, "HANG_S", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["timeout", "terminate"])
def test_a_stopped_keeper_cannot_keep_its_slot(how: str, tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        mark = new_mark()
        command = shell_in(tmp_path, f"kill -STOP $PPID; (setsid sleep {mark} &); exec sleep {mark}")
        job = pool.start(replace(command, timeout_s=2.0 if how == "timeout" else None))
        if how == "terminate":
            await asyncio.to_thread(eventually, lambda: len(helpers_with(mark)) == 2)
            job.stop("terminate", 0.1)
        assert (await job.ended).end == how
        assert processes_with(mark) == []
        assert (await run(pool, shell_in(tmp_path, "exit 4"))).exit_code == 4

    with_pool(use)


def test_a_stopped_zygote_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        mark = new_mark()
        job = pool.start(shell_in(tmp_path, f"exec sleep {mark}"))
        await asyncio.to_thread(eventually, lambda: processes_with(mark))
        zygote = zygote_of_this_process()
        os.kill(zygote, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(zygote_link, "ANSWER_LIMIT_S", 1.0)  # of this one only: a healthy one may be slow
            second = pool.start(shell_in(tmp_path, "exit 5"))
        assert (await second.ended).end == "lost"
        assert (await job.ended).end == "lost"
        assert processes_with(mark) == []
        await asyncio.to_thread(eventually, lambda: pool._zygote is not None)
        assert zygote_of_this_process() != zygote
        assert (await run(pool, shell_in(tmp_path, "exit 4"))).exit_code == 4

    with_pool(use)


@pytest.mark.usefixtures("impatient")
def test_a_stopped_keeper_below_a_stopped_zygote_cannot_keep_its_slot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def use(pool: KeeperPool) -> None:
        job = pool.start(replace(shell_in(tmp_path, "touch up; exec sleep 600"), timeout_s=3.0))
        await asyncio.to_thread(eventually, (tmp_path / "up").exists)
        os.kill(keeper_of_this_process(), signal.SIGSTOP)
        os.kill(zygote_of_this_process(), signal.SIGSTOP)
        monkeypatch.setattr(zygote_link, "ANSWER_LIMIT_S", 1.0)
        assert (await job.ended).end == "timeout"

    with_pool(use)


def test_a_stop_that_comes_before_the_start_keeps_the_command_from_starting(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        await run(pool, shell_in(tmp_path, "true"))
        keeper = keeper_of_this_process()
        os.kill(keeper, signal.SIGSTOP)
        job = pool.start(replace(shell_in(tmp_path, "touch ran"), task_body=bytes(1 << 17)))
        job.stop("terminate", 5.0)
        os.kill(keeper, signal.SIGCONT)
        ended = await job.ended
        assert (ended.end, ended.exit_code, ended.signal) == ("terminate", None, None)
        assert not (tmp_path / "ran").exists()
        assert (await run(pool, shell_in(tmp_path, "exit 4"))).exit_code == 4

    with_pool(use)


@pytest.mark.parametrize("text", ["rm T.json; mkdir T.json; exit 0", "rm T.json; mkdir -p T.json/x; sleep 600 &"])
def test_a_task_file_that_cannot_be_removed_changes_no_result(text: str, tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        command = replace(shell_in(tmp_path, text), task_file=str(tmp_path / "T.json"), task_body=b"{}")
        ended = await run(pool, command)
        assert (ended.end, ended.exit_code, ended.survivors) == ("exit", 0, 0)
        assert children_of(keeper_of_this_process()) == []

    with_pool(use)


def test_a_file_of_the_user_is_never_replaced(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        mine = tmp_path / "secrets.json"
        mine.write_text("precious")
        mine.chmod(0o600)
        command = replace(shell_in(tmp_path, "true"), task_file=str(mine), task_body=b"{}", replace=True)
        ended = await run(pool, command)
        assert (ended.end, ended.step) == ("failed", "stage")
        taskfile.clear(str(mine))
        assert mine.read_text() == "precious"

    with_pool(use)


def test_the_file_of_a_lost_attempt_makes_room_for_the_next(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        text = "chmod 644 T.json; echo edited >> T.json; kill -9 $PPID; sleep 600"
        command = replace(shell_in(tmp_path, text), task_file=str(tmp_path / "T.json"), task_body=b"{}")
        assert (await run(pool, command)).end == "lost"
        again = replace(shell_in(tmp_path, "cat T.json"), task_file=command.task_file, task_body=b"[]", replace=True)
        assert (await run(pool, again)).exit_code == 0
        assert (tmp_path / "logs" / "out").read_bytes() == b"[]"

    with_pool(use)


def test_somebody_else_who_writes_to_the_pipe_does_not_delay_the_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(remote, "HANG_S", 100.0)  # one that gets no processor for some seconds is not late

    async def use(pool: KeeperPool) -> None:
        pid: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def hear(news: dict[str, Any]) -> None:
            if "pid" in news:
                pid.set_result(news["pid"])

        job = pool.start(replace(shell_in(tmp_path, "exec sleep 600"), announce=True), hear)
        writer = os.open(f"/proc/{await pid}/fd/1", os.O_WRONLY)
        keeper = keeper_of_this_process()
        flood = threading.Thread(target=_write_on, args=(writer,))
        flood.start()
        job.stop("terminate", 0.1)
        try:
            assert (await asyncio.wait_for(job.ended, 60)).end == "terminate"
            assert is_alive(keeper), "it has not been killed for being late"
        finally:
            os.kill(keeper, signal.SIGKILL)  # ends the flood where the keeper still reads
            await asyncio.to_thread(flood.join)

    with_pool(use)


def _write_on(descriptor: int) -> None:
    try:
        while True:
            os.write(descriptor, b"x" * 65536)
    except BrokenPipeError:
        os.close(descriptor)


def test_the_largest_of_many_processes_counts_wherever_it_stands(tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        many = "for i in {1..70}; do (true &); done; while pgrep -P $PPID true; do :; done"
        large = f"({sys.executable} -I -S -c 'b\"x\" * (60 << 20)' && touch done &)"
        ended = await run(pool, shell_in(tmp_path, f"{many}; {large}; while [ ! -e done ]; do sleep 0.01; done"))
        assert ended.usage.max_rss_bytes > 60 << 20
        assert len(ended.usage.processes) <= 65

    with_pool(use)
