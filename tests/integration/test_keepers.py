"""Keepers as a room sees them: real commands, real kills."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from job_item.keeper import remote
from job_item.keeper.command import Command
from job_item.keeper.pool import KeeperPool
from job_item.process import children_of
from tests.conftest import eventually
from tests.orphans import SHAPES, helpers_with, new_mark, processes_with
from tests.pools import run, shell_in, with_pool, zygote_of_this_process


@pytest.fixture
def shell(tmp_path: Path) -> Callable[[str], Command]:
    def make(text: str) -> Command:
        return shell_in(tmp_path, text)

    return make


def test_a_command_tells_its_exit_code_and_leaves_its_output(shell: Callable[[str], Command], tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        ended = await run(pool, shell("echo out; echo err >&2; exit 3"))
        assert (ended.end, ended.exit_code, ended.signal) == ("exit", 3, None)
        assert (ended.usage.stdout_bytes, ended.usage.stderr_bytes) == (4, 4)
        assert (tmp_path / "logs" / "out").read_bytes() in (b"out\nerr\n", b"err\nout\n")

    with_pool(use)


def test_one_keeper_serves_one_command_after_the_other(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        for code in range(5):
            assert (await run(pool, shell(f"exit {code}"))).exit_code == code
        assert len(children_of(zygote_of_this_process())) == 1

    with_pool(use)


def test_a_command_has_three_descriptors_and_default_signals_and_a_session_of_its_own(
    shell: Callable[[str], Command], tmp_path: Path
) -> None:
    async def use(pool: KeeperPool) -> None:
        text = "ls /proc/self/fd | wc -l; grep -E 'Sig(Blk|Ign)' /proc/self/status; ps -o sid= -p $$; echo $$"
        await run(pool, shell(text))
        descriptors, blocked, ignored, session, pid = (tmp_path / "logs" / "out").read_text().split("\n")[:5]
        assert int(descriptors) == 4  # 0, 1, 2 and the one of ls itself
        assert int(blocked.split()[1], 16) == 0
        assert int(ignored.split()[1], 16) & 0x7FFFFFFF == 0  # 32 and 33 belong to the C library
        assert session.strip() == pid

    with_pool(use)


def test_the_task_file_is_there_for_the_command_alone_and_gone_afterwards(
    shell: Callable[[str], Command], tmp_path: Path
) -> None:
    async def use(pool: KeeperPool) -> None:
        task_file = tmp_path / "T1.json"
        command = replace(shell("stat -c %a T1.json; cat T1.json"), task_file=str(task_file), task_body=b'{"a":1}')
        await run(pool, command)
        assert (tmp_path / "logs" / "out").read_bytes() == b'600\n{"a":1}'
        assert not task_file.exists()

    with_pool(use)


@pytest.mark.parametrize(
    ("argv", "cwd", "step"),
    [
        (("/no/such/program",), ".", "start"),
        (("no-such-program",), ".", "start"),
        (("true",), "no-such-folder", "directory"),
        (("bash", "-c", "a\0b"), ".", "start"),
        (("bash", "-c", "\ud800"), ".", "start"),
    ],
)
def test_what_cannot_be_started_fails_and_the_keeper_lives_on(
    argv: tuple[str, ...], cwd: str, step: str, shell: Callable[[str], Command], tmp_path: Path
) -> None:
    async def use(pool: KeeperPool) -> None:
        ended = await run(pool, replace(shell(""), argv=argv, cwd=str(tmp_path / cwd)))
        assert (ended.end, ended.step) == ("failed", step)
        assert (await run(pool, shell("exit 5"))).exit_code == 5

    with_pool(use)


def test_limits_reach_the_command(shell: Callable[[str], Command], tmp_path: Path) -> None:
    import resource

    async def use(pool: KeeperPool) -> None:
        command = replace(shell("ulimit -n; nice"), rlimits={resource.RLIMIT_NOFILE: 64}, nice=5)
        assert (await run(pool, command)).exit_code == 0
        assert (tmp_path / "logs" / "out").read_text().split() == ["64", str(min(os.nice(0) + 5, 19))]

    with_pool(use)


def test_a_time_out_asks_first_and_kills_after_the_grace(
    shell: Callable[[str], Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "HANG_S", 60.0)  # a keeper that is slow to kill is not to be killed itself

    def spool(name: str) -> Path:
        return tmp_path / "logs" / name

    async def use(pool: KeeperPool) -> None:
        polite = shell("trap 'echo bye; exit 9' TERM; echo up; sleep 600 & wait")
        stubborn = shell("trap '' TERM; echo up; while :; do sleep 600; done")
        for time_s in (2.0, 20.0):  # the second where the first was too short for a shell to come to its trap
            first, second = await asyncio.gather(
                # Its grace is longer than any stall.
                run(pool, replace(polite, spool=str(spool(f"polite{time_s}")), timeout_s=time_s, grace_s=60.0)),
                run(pool, replace(stubborn, spool=str(spool(f"stubborn{time_s}")), timeout_s=time_s, grace_s=0.1)),
            )
            if all(spool(f"{name}{time_s}").exists() for name in ("polite", "stubborn")):
                break
        assert (first.end, first.exit_code) == ("timeout", 9)
        assert spool(f"polite{time_s}").read_text() == "up\nbye\n"
        assert (second.end, second.signal) == ("timeout", signal.SIGKILL)

    with_pool(use)


def test_the_first_reason_to_stop_counts(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        job = pool.start(shell("sleep 600"))
        job.stop("terminate", 5.0)
        job.stop("timeout", 0.0)
        assert (await job.ended).end == "terminate"

    with_pool(use)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stopped", [False, True], ids=["normal end", "stopped"])
def test_nothing_of_a_tree_is_left_when_the_end_is_told(
    shape: str, stopped: bool, shell: Callable[[str], Command], tmp_path: Path
) -> None:
    async def use(pool: KeeperPool) -> None:
        mark = new_mark()
        neighbour_mark = new_mark()
        neighbour = pool.start(shell(f"(setsid sleep {neighbour_mark} &); exec sleep {neighbour_mark}"))
        await asyncio.to_thread(eventually, lambda: len(helpers_with(neighbour_mark)) == 2)
        tail = "exec sleep 600" if stopped else "while [ ! -e go ]; do sleep 0.01; done"
        job = pool.start(shell(SHAPES[shape].replace("{mark}", mark) + "\n" + tail))
        await asyncio.to_thread(eventually, lambda: helpers_with(mark))
        if stopped:
            job.stop("terminate", 0.2)
        else:
            (tmp_path / "go").touch()
        ended = await job.ended
        assert processes_with(mark) == []
        assert ended.survivors == 0
        assert len(helpers_with(neighbour_mark)) == 2, "the neighbour's helper was not ours to kill"
        neighbour.stop("terminate", 0.0)
        await neighbour.ended

    with_pool(use)


def test_a_background_child_that_holds_stdout_does_not_delay_the_end(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        await asyncio.wait_for(run(pool, shell("sleep 600 & echo started")), 60)

    with_pool(use)


def test_orphans_that_end_while_the_job_runs_leave_no_zombies(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        have_run = "until [ -e 1 -a -e 2 -a -e 3 ]; do sleep 0.01; done"
        are_reaped = "while ps -o stat= --ppid $PPID | grep -q Z; do sleep 0.01; done"
        ended = await run(pool, shell(f"for i in 1 2 3; do (touch $i &); done; {have_run}; {are_reaped}"))
        assert (ended.end, ended.exit_code) == ("exit", 0)

    with_pool(use)


def test_a_killed_keeper_loses_its_job_and_leaves_nothing(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        mark = new_mark()
        job = pool.start(shell(f"(setsid sleep {mark} &); sleep {mark}"))
        await asyncio.to_thread(eventually, lambda: len(helpers_with(mark)) == 2)
        (keeper,) = children_of(zygote_of_this_process())
        os.kill(keeper, signal.SIGKILL)
        assert (await job.ended).end == "lost"
        assert processes_with(mark) == []
        assert (await run(pool, shell("exit 4"))).exit_code == 4

    with_pool(use)


def test_a_killed_zygote_loses_its_jobs_and_is_replaced(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        mark = new_mark()
        job = pool.start(shell(f"(setsid sleep {mark} &); exec sleep {mark}"))
        await asyncio.to_thread(eventually, lambda: len(helpers_with(mark)) == 2)
        os.kill(zygote_of_this_process(), signal.SIGKILL)
        assert (await job.ended).end == "lost"
        assert processes_with(mark) == []
        assert (await run(pool, shell("exit 4"))).exit_code == 4

    with_pool(use)


def test_closing_the_pool_ends_what_runs(shell: Callable[[str], Command]) -> None:
    mark = new_mark()

    async def use(pool: KeeperPool) -> None:
        pool.start(shell(f"(setsid sleep {mark} &); exec sleep {mark}"))
        await asyncio.to_thread(eventually, lambda: len(helpers_with(mark)) == 2)

    before = set(children_of(os.getpid()))  # what died in the nodes of other tests may have fallen to this process
    with_pool(use)
    assert processes_with(mark) == []
    assert set(children_of(os.getpid())) <= before


def test_output_is_told_while_it_comes(shell: Callable[[str], Command]) -> None:
    async def use(pool: KeeperPool) -> None:
        sizes: asyncio.Queue[int] = asyncio.Queue()
        job = pool.start(shell("echo one; sleep 600"), lambda news: sizes.put_nowait(news["size"]))
        assert await sizes.get() == 4
        job.stop("terminate", 0.0)
        await job.ended

    with_pool(use)


def test_a_task_body_larger_than_any_buffer_arrives(shell: Callable[[str], Command], tmp_path: Path) -> None:
    async def use(pool: KeeperPool) -> None:
        body = os.urandom(8 << 20)
        command = replace(
            shell("cat T.json"), task_file=str(tmp_path / "T.json"), task_body=body, output_limit=16 << 20
        )
        assert (await run(pool, command)).exit_code == 0
        assert (tmp_path / "logs" / "out").read_bytes() == body

    with_pool(use)
