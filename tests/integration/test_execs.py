"""Execs in a real node: dying at birth, deaf, with grandchildren, over restarts; one that takes the node with it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.conftest import eventually
from tests.nodes import Node, is_alive, running
from tests.orphans import helpers_with, new_mark, processes_with


def spec(key: str, cmd: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "name": key, "cmd": cmd, **more}


def states(node: Node) -> dict[str, dict[str, Any]]:
    status, answer = node.get("/execs")
    assert status == 200, answer
    return {entry["key"]: entry for entry in answer["execs"]}


def log_of(node: Node, key: str) -> str:
    path = node.state / "execs" / f"{key}.log"
    return path.read_text() if path.exists() else ""


def await_state(node: Node, key: str, state: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        entry = states(node).get(key, {})
        return entry if entry.get("state") == state else None

    return eventually(reached, within_s=60, what=f"{key} is {state}") or {}


def test_an_exec_that_dies_at_birth_is_tried_as_often_as_asked_and_harms_nobody(tmp_path: Path) -> None:
    execs = [spec("stillborn", "echo born; exit 3", attempt=2), spec("beat", "exec sleep 600")]
    with running(tmp_path, {"execs": execs}) as node:
        failed = await_state(node, "stillborn", "failed")
        assert (failed["attempts"], failed["exit_code"]) == (2, 3)
        assert await_state(node, "beat", "running")["attempts"] == 1
        assert log_of(node, "stillborn") == "born\n" * 2
        assert node.stop() == 0


def test_a_deaf_exec_and_its_grandchildren_end_with_the_node(tmp_path: Path) -> None:
    mark = new_mark()
    deaf = f"trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep {mark}; :' &); sleep {mark}; :"
    with running(tmp_path, {"execs": [spec("deaf", deaf)]}) as node:
        eventually(lambda: len(helpers_with(mark)) == 2)  # both shells are deaf by then
        assert node.stop() == 0
        assert processes_with(mark) == []


def test_an_exec_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    polite = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    with running(tmp_path, {"execs": [spec("polite", polite)]}) as node:
        eventually(lambda: log_of(node, "polite") == "up\n")
        assert node.stop() == 0
        assert "bye\n" in log_of(node, "polite")  # a shell may go on to say that its sleep was terminated, too


def test_a_killed_exec_leaves_no_grandchildren_and_comes_back_with_its_log_kept(tmp_path: Path) -> None:
    mark = new_mark()
    text = f"echo $$; (setsid sleep {mark} &); exec sleep 600"
    with running(tmp_path, {"execs": [spec("phoenix", text)]}) as node:
        first = await_state(node, "phoenix", "running")["pid"]
        (helper,) = eventually(lambda: helpers_with(mark))
        os.kill(first, signal.SIGKILL)
        second = eventually(lambda: _other_pid(node, "phoenix", first), within_s=60)
        assert not is_alive(helper)
        eventually(lambda: log_of(node, "phoenix") == f"{first}\n{second}\n")
        assert node.stop() == 0
        node.start()
        third = await_state(node, "phoenix", "running")["pid"]
        eventually(lambda: log_of(node, "phoenix").endswith(f"{third}\n"))
        assert log_of(node, "phoenix") == f"{first}\n{second}\n{third}\n"


def _other_pid(node: Node, key: str, first: int) -> int | None:
    pid: int | None = states(node)[key]["pid"]
    return pid if pid != first else None


def test_an_exec_with_cascade_exit_takes_the_node_with_it(tmp_path: Path) -> None:
    text = "while [ ! -e go ]; do sleep 0.02; done; exit 5"
    with running(tmp_path, {"execs": [spec("vital", text, cascade_exit=True, attempt=1)]}) as node:
        own = node.processes()
        (tmp_path / "go").touch()
        assert node.process is not None
        assert node.process.wait(60) == 76
        assert not any(map(is_alive, own))


def test_a_clean_end_without_cascade_exit_is_rest(tmp_path: Path) -> None:
    with running(tmp_path, {"execs": [spec("once", "exit 0")]}) as node:
        assert await_state(node, "once", "stopped")["exit_code"] == 0
        assert node.health()["execs"]["pid"]
        assert node.stop() == 0


def test_the_node_stops_with_a_vital_exec_in_the_midst_of_a_chain_and_in_the_right_order(tmp_path: Path) -> None:
    note = "trap 'echo {0} >> ended; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    ready = {"log": "up"}
    vital = "echo up; while [ ! -e go ]; do sleep 0.02; done; echo vital >> ended; exit 5"
    execs = [
        spec("top", note.format("top"), ready=ready, depends_on=["middle"]),
        spec("middle", note.format("middle"), ready=ready, depends_on={"vital": "ready", "base": "started"}),
        spec("vital", vital, ready=ready, cascade_exit=True, attempt=2, backoff=0.05, depends_on=["base"]),
        spec("base", note.format("base"), ready=ready),
    ]
    with running(tmp_path, {"execs": execs}) as node:
        await_state(node, "top", "running")
        eventually(lambda: "up" in log_of(node, "top"))
        (tmp_path / "go").touch()
        assert node.process is not None
        assert node.process.wait(60) == 76
        assert (tmp_path / "ended").read_text().split() == ["vital", "vital", "top", "middle", "base"]


def test_a_failed_exec_is_shown_and_harms_neither_the_node_nor_those_that_wait_for_it(tmp_path: Path) -> None:
    execs = [spec("bad", "exit 7", attempt=1), spec("waits", "exec sleep 600", depends_on={"bad": "completed"})]
    with running(tmp_path, {"execs": execs}) as node:
        assert await_state(node, "bad", "failed")["exit_code"] == 7
        assert await_state(node, "waits", "waiting")["pid"] is None
        assert node.stop() == 0
