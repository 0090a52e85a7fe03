"""Execs with real processes: order of start and stop, conditions, orders, new settings."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.nodes import is_alive
from tests.orphans import new_mark, processes_with
from tests.rosters import Muster, mustered

FOREVER = "exec sleep 600"
WITH_GRANDCHILD = "(setsid sh -c 'trap \"\" TERM; echo $$ > grandchild; exec sleep 600' &); exec sleep 600"
UNTIL_GO = "while [ ! -e go ]; do sleep 0.01; done"
QUICK = {"backoff": 0.02, "backoff_max": 0.05}
NOTE_END = "trap 'echo {key} >> ended; exit 0' TERM; echo {key} >> began; while :; do sleep 0.01; done"


def spec(key: str, cmd: str = FOREVER, **more: Any) -> dict[str, Any]:
    return {"key": key, "cmd": cmd, **QUICK, **more}


def sizes_in(folder: Path) -> dict[str, int]:
    """The files that are there, by name; they may be moved while we look."""
    sizes = {}
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            sizes[path.name] = path.stat().st_size
    return sizes


def noting(key: str, *depends_on: str) -> dict[str, Any]:
    return spec(key, NOTE_END.format(key=key), depends_on=list(depends_on), ready={"log": "^up"}) | {
        "cmd": NOTE_END.format(key=key).replace("while", "echo up; while", 1)
    }


def test_execs_start_in_the_order_of_their_dependencies_and_stop_in_reverse(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        await muster.until(
            lambda: len([state for state in muster.states.values() if state.ready]) == 4, "all are ready"
        )
        assert muster.written("began").split() in (["db", "cache", "app", "web"], ["cache", "db", "app", "web"])

    execs = [noting("web", "app"), noting("app", "db", "cache"), noting("db"), noting("cache")]
    muster = mustered(tmp_path, execs, use)
    ended = muster.written("ended").split()
    assert ended[:2] == ["web", "app"]
    assert sorted(ended[2:]) == ["cache", "db"]


@pytest.mark.parametrize(
    ("condition", "base", "go"),
    [
        ("started", {"cmd": FOREVER}, None),
        ("ready", {"cmd": f"{UNTIL_GO}; echo READY; exec sleep 600", "ready": {"log": "READY"}}, "go"),
        ("healthy", {"cmd": FOREVER, "health": {"cmd": "test -e go", "interval": 0.05, "failures": 1000}}, "go"),
        ("completed", {"cmd": UNTIL_GO}, "go"),
    ],
)
def test_an_exec_waits_for_the_condition_it_names(
    condition: str, base: dict[str, Any], go: str | None, tmp_path: Path
) -> None:
    async def use(muster: Muster) -> None:
        if go is not None:
            await muster.until_state("base", "running")
            assert "base" in ((await muster.until_state("top", "waiting")).reason or "")
            assert not muster.written("top-ran")
            (tmp_path / go).touch()
        await muster.until_state("top", "running", reason=None)
        assert muster.trace.index(("base", "running")) < muster.trace.index(("top", "running"))

    execs = [spec("top", depends_on={"base": condition}), {**spec("base"), **base}]
    mustered(tmp_path, execs, use)


def test_those_that_depend_on_a_failed_exec_wait_and_say_why(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        failed = await muster.until_state("base", "failed")
        assert failed.reason == "given up after 2 of 2 tries: ended with exit code 3"
        waiting = await muster.until_state("top", "waiting", reason="waits: base has failed")
        assert waiting.attempts == 0
        assert muster.order("top", "start") is not None
        muster.adopt([spec("top", depends_on={"base": "completed"}), spec("base", "exit 0")])
        await muster.until_state("top", "running")

    mustered(tmp_path, [spec("top", depends_on={"base": "completed"}), spec("base", "exit 3", attempt=2)], use)


def test_the_dependents_of_a_restarted_exec_stay_up(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        top = (await muster.until_state("top", "running")).pid
        first = muster.states["base"].pid
        assert muster.order("base", "restart") is None
        await muster.until(lambda: muster.states["base"].pid not in (None, first))
        assert muster.states["top"].pid == top

    mustered(tmp_path, [spec("top", depends_on=["base"]), spec("base")], use)


def test_orders_are_obeyed_and_senseless_ones_refused(tmp_path: Path) -> None:
    def code(muster: Muster, key: str, verb: Any) -> str | None:
        refusal = muster.order(key, verb)
        return None if refusal is None else refusal.code

    async def use(muster: Muster) -> None:
        pid = (await muster.until_state("one", "running")).pid
        assert pid is not None
        assert code(muster, "none", "stop") == "ERR-EXE-011"
        assert code(muster, "one", "start") == "ERR-EXE-012"
        assert code(muster, "one", "stop") is None
        assert (await muster.until_state("one", "stopped")).reason == "stopped by an order"
        assert not is_alive(pid)
        assert code(muster, "one", "stop") == "ERR-EXE-012"
        assert code(muster, "one", "start") is None
        second = (await muster.until_state("one", "running")).pid
        assert code(muster, "one", "restart") is None
        await muster.until(lambda: muster.states["one"].pid not in (None, second))
        assert muster.cascaded == []
        muster.roster.close()
        assert code(muster, "one", "restart") == "ERR-EXE-012"

    mustered(tmp_path, [spec("one", cascade_exit=True)], use)


def test_a_change_of_policy_keeps_the_run_and_any_other_restarts_it_when_its_tree_is_gone(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        first = (await muster.until_state("one", "running")).pid
        grandchild = (await muster.until(lambda: muster.written("grandchild"))).strip()
        policy = spec(
            "one", WITH_GRANDCHILD, name="label", restart="always", attempt=9, stop_signal="INT", stop_grace=1, stable=1
        )
        muster.adopt([policy | {"log": {"max_bytes": 2048, "keep": 3}, "ready": {"tcp": 1}, "cascade_exit": True}])
        await muster.until_state("one", "running", name="label", ready=False)
        assert muster.states["one"].pid == first
        looks = f"test ! -e /proc/{grandchild} || touch overlap; touch looked; exec sleep 600"
        muster.adopt([spec("one", looks)])
        await muster.until(lambda: muster.states["one"].pid not in (None, first))
        await muster.until((tmp_path / "looked").exists)
        assert not (tmp_path / "overlap").exists()

    mustered(tmp_path, [spec("one", WITH_GRANDCHILD)], use)


def test_the_environment_is_part_of_what_is_run(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        one = (await muster.until_state("one", "running")).pid
        muster.adopt([spec("one")], credential={"project_id": "other"})  # it is in JOB_ITEM_APP_ID
        await muster.until(lambda: muster.states["one"].pid not in (None, one))

    mustered(tmp_path, [spec("one")], use)


def test_the_last_of_several_new_settings_wins_and_unchanged_execs_keep_their_pid(tmp_path: Path) -> None:
    mark = new_mark()

    async def use(muster: Muster) -> None:
        same = (await muster.until_state("same", "running")).pid
        await muster.until_state("other", "running")
        for number in range(20):
            execs = [spec("same"), spec("other", f"exec sleep {mark}{number:02}")]
            muster.adopt(execs if number % 3 else [spec("same"), spec("new")])
            if number % 4 == 0:
                await asyncio.sleep(0.01)
        await muster.until(lambda: set(muster.states) == {"same", "other"}, "what was removed is gone")
        await muster.until_state("other", "running")
        assert muster.states["same"].pid == same
        await muster.until(lambda: len(processes_with(f"{mark}19")) == 1, "the last one runs")
        assert len(processes_with(mark)) == 1

    mustered(tmp_path, [spec("same"), spec("other")], use)


def test_an_exec_that_was_removed_and_comes_back_waits_for_the_end_of_its_old_run(tmp_path: Path) -> None:
    text = "trap 'sleep 0.2; echo end >> seen; exit 0' TERM; echo begin >> seen; while :; do sleep 0.01; done"

    async def use(muster: Muster) -> None:
        await muster.until(lambda: muster.written("seen"))
        muster.adopt([])
        muster.adopt([spec("one", text)])
        await muster.until(lambda: muster.written("seen").split() == ["begin", "end", "begin"])

    mustered(tmp_path, [spec("one", text)], use)


def test_an_order_keeps_an_exec_stopped_over_new_settings_but_a_new_command_mends_a_failed_one(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        await muster.until_state("failed", "failed")
        await muster.until_state("stopped", "running")
        assert muster.order("stopped", "stop") is None
        await muster.until_state("stopped", "stopped")
        muster.adopt([spec("failed"), spec("stopped", "exec sleep 601")])
        await muster.until_state("failed", "running", attempts=1)
        assert muster.states["stopped"].state == "stopped"

    mustered(tmp_path, [spec("failed", "exit 1", attempt=1), spec("stopped")], use)


def test_a_stop_signal_is_honoured_and_a_new_one_holds_for_the_run_that_there_is(tmp_path: Path) -> None:
    traps = 'for s in INT QUIT USR1 TERM; do trap "echo $s >> seen; exit 0" $s; done'
    text = f"{traps}; echo up; while :; do sleep 0.01; done"

    async def use(muster: Muster) -> None:
        await muster.until(lambda: muster.log("a") and muster.log("b"))
        pid = muster.states["a"].pid
        muster.order("a", "stop")
        await muster.until_state("a", "stopped")
        assert muster.written("seen") == "QUIT\n"
        muster.adopt([spec("a", text, stop_signal="QUIT"), spec("b", text, stop_signal="sigusr1")])
        muster.order("b", "stop")
        await muster.until_state("b", "stopped")
        assert muster.written("seen") == "QUIT\nUSR1\n"
        assert pid is not None

    mustered(tmp_path, [spec("a", text, stop_signal="QUIT"), spec("b", text, stop_signal=2)], use)


def test_one_that_ignores_its_stop_signal_is_killed_with_its_tree_after_the_grace(tmp_path: Path) -> None:
    mark = new_mark()
    deaf = f"trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep {mark}; :' &); sleep {mark}; :"

    async def use(muster: Muster) -> None:
        await muster.until(lambda: len(processes_with(mark)) >= 3)
        muster.order("deaf", "stop")
        await muster.until_state("deaf", "stopped")
        assert processes_with(mark) == []

    mustered(tmp_path, [spec("deaf", deaf, stop_grace=0.2)], use)


def test_a_killed_exec_has_a_successor_with_nothing_left_of_the_first(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        first = (await muster.until_state("one", "running")).pid
        assert first is not None
        grandchild = int(await muster.until(lambda: muster.written("grandchild")))
        os.kill(first, signal.SIGKILL)
        state = await muster.until(
            lambda: muster.states["one"] if muster.states["one"].pid not in (None, first) else None
        )
        assert state is not None and state.attempts == 2
        assert not is_alive(grandchild)

    mustered(tmp_path, [spec("one", WITH_GRANDCHILD)], use)


def test_one_that_floods_its_log_stays_within_its_bounds_and_blocks_nobody(tmp_path: Path) -> None:
    bounds = {"max_bytes": 100_000, "keep": 2}

    async def use(muster: Muster) -> None:
        oldest = tmp_path / "state" / "execs" / "flood.log.2"
        await muster.until(oldest.exists)
        loop = asyncio.get_running_loop()
        worst_s = 0.0
        for _ in range(50):
            before = loop.time()
            await asyncio.sleep(0.01)
            worst_s = max(worst_s, loop.time() - before)
            sizes = sizes_in(oldest.parent)
            assert all(size <= 100_000 for size in sizes.values())
            assert set(sizes) <= {"flood.log", "flood.log.1", "flood.log.2"} | {f"{name}.idx" for name in sizes}
        assert worst_s < 10

    mustered(tmp_path, [spec("flood", "yes the same line again and again", log=bounds), spec("calm")], use)


def test_one_that_flaps_is_given_up_and_its_pauses_are_seen(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        failed = await muster.until_state("flaps", "failed")
        assert (failed.attempts, failed.exit_code) == (4, 1)
        assert muster.log("flaps") == "x\n" * 4
        assert [word for key, word in muster.trace if key == "flaps"].count("backoff") == 3

    mustered(tmp_path, [spec("flaps", "echo x; exit 1", attempt=4)], use)


def test_a_chain_of_dependencies_cascades_only_with_the_exec_that_says_so(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        await muster.until_state("top", "running")
        (tmp_path / "go").touch()
        await muster.until(lambda: muster.cascaded)
        assert muster.cascaded == ["base"]
        assert muster.states["top"].state == "running"

    base = spec("base", f"{UNTIL_GO}; exit 1", cascade_exit=True, attempt=1)
    mustered(tmp_path, [base, spec("middle", depends_on=["base"]), spec("top", depends_on=["middle"])], use)


def test_what_the_system_refuses_to_start_for_a_moment_is_no_failure_of_the_exec(tmp_path: Path) -> None:
    async def use(muster: Muster) -> None:
        one = (await muster.until_state("one", "running")).pid
        zygote = muster.pool._zygote
        assert zygote is not None
        os.kill(zygote._pid, signal.SIGKILL)  # while it is being replaced nothing can be started
        await muster.until(lambda: muster.states["one"].pid not in (None, one))
        assert muster.states["one"].state == "running"

    mustered(tmp_path, [spec("one")], use)
