"""Signals to a real node that do not stop it, or do so at once: USR1, QUIT, STOP and CONT."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running, tree_of

SECRET = "correct-horse-battery"
SETTINGS: dict[str, Any] = {
    "jobs": [{"event": "long", "cmd": "sleep 600"}, {"event": "greet", "cmd": "sleep 5; echo hello"}],
    "execs": [{"key": "beside", "cmd": "exec sleep 601", "env": {"WORD": SECRET}}],
    "api": {"port": 0, "token": SECRET},
}
QUICK_S = 8
QUICK = {"heartbeat": {"interval": 0.1, "timeout": QUICK_S}}  # long enough for a slow start


def lines(node: Node, event: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def test_usr1_writes_down_what_the_node_holds(tmp_path: Path) -> None:
    settings = {**SETTINGS, "api": {"port": 0}}
    with running(tmp_path, settings) as node:
        eventually(lambda: node.get("/execs")[1]["execs"][0]["state"] == "running")
        task_id = node.submit("long")
        node.await_status(task_id, "running")
        before = node.processes()
        os.kill(node.pid, signal.SIGUSR1)
        job = eventually(lambda: lines(node, "job.dumped"))[0]
        exec_line = eventually(lambda: lines(node, "exec.dumped"))[0]
        assert (job["task_id"], job["job_event"], job["status"]) == (task_id, "long", "running")
        assert (exec_line["exec"], exec_line["state"]) == ("beside", "running")
        (state,) = lines(node, "node.dumped")
        assert (state["phase"], state["makes_progress"]) == ("running", True)
        children = {line["child"]: line for line in lines(node, "child.dumped")}
        assert {room: line["life"] for room, line in children.items()} == {"worker": "ready", "execs": "ready"}
        assert children["worker"]["pid"] == node.child_pid("worker")
        assert 0 < children["worker"]["deadline_in_s"] <= 20
        (worker,) = lines(node, "worker.dumped")
        assert (worker["slots_taken"], worker["jobs"]["running"]) == (1, 1)
        assert SECRET not in node.log.read_text()
        assert set(before) <= set(node.processes()), "nobody died of it"


def test_usr1_to_a_child_is_answered_by_that_child(tmp_path: Path) -> None:
    with running(tmp_path, {**SETTINGS, "api": {"port": 0}}) as node:
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGUSR1)
        eventually(lambda: lines(node, "worker.dumped"))
        assert node.child_pid("worker") == worker
        assert not lines(node, "node.dumped")


def test_usr1_works_for_a_room_by_hand(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "supervisor", "child_process")
    with running(tmp_path, {"jobs": SETTINGS["jobs"]}, command=command) as node:
        os.kill(node.pid, signal.SIGUSR1)
        eventually(lambda: lines(node, "worker.dumped"))
        assert node.stop() == 0


def test_quit_ends_everything_at_once(tmp_path: Path) -> None:
    patient = {"jobs": [{"event": "long", "cmd": "trap '' TERM; sleep 600; :", "kill_grace": 600}], "drain_grace": 600}
    with running(tmp_path, {**SETTINGS, "api": {"port": 0}, **patient}) as node:
        node.await_status(node.submit("long"), "running")
        below = node.processes()[1:]
        assert node.stop(signal.SIGQUIT, within_s=60) == 128 + signal.SIGQUIT  # all else would take ten minutes
        eventually(lambda: not any(map(is_alive, below)))


def test_ctrl_backslash_in_a_terminal_leaves_no_core_and_no_child(tmp_path: Path) -> None:
    """The terminal sends it to all processes of its group, the forkserver among them."""
    with running(tmp_path, {}) as node:
        (forkserver,) = children_of(node.pid)
        os.kill(forkserver, signal.SIGQUIT)
        os.kill(forkserver, signal.SIGHUP)
        os.kill(forkserver, signal.SIGUSR1)
        os.kill(node.pid, signal.SIGUSR1)
        eventually(lambda: lines(node, "node.dumped"))
        assert children_of(node.pid) == [forkserver]


def test_nobody_is_taken_for_hung_after_a_stop_of_the_whole_tree(tmp_path: Path) -> None:
    """The closest that a test comes to a suspended machine; in whatever order its processes wake."""
    with running(tmp_path, {**SETTINGS, "api": {"port": 0}, **QUICK}) as node:
        eventually(lambda: node.get("/execs")[1]["execs"][0]["state"] == "running")
        task_id = node.submit("greet")
        node.await_status(task_id, "running")
        for step in (1, -1):
            tree = sorted(tree_of(node.pid))
            for pid in tree:
                with suppress(ProcessLookupError):  # it ends just now
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(QUICK_S + 0.8)  # the suspension, longer than the silence that is allowed
            for pid in tree[::step]:
                with suppress(ProcessLookupError):  # it had ended before, and who woke first has reaped it
                    os.kill(pid, signal.SIGCONT)
                time.sleep(0.02)  # nobody wakes at the same moment
        record = node.await_status(task_id)
        assert (record["status"], record["attempt"]) == ("finish", 1)
        assert not lines(node, "child.hung")
        assert not lines(node, "child.died")
        assert lines(node, "node.woke")
        assert not lines(node, "exec.failed")


def test_a_parent_that_slept_gives_its_children_time_though_they_wake_later(tmp_path: Path) -> None:
    with running(tmp_path, {**QUICK}) as node:
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGSTOP)
        os.kill(node.pid, signal.SIGSTOP)
        time.sleep(QUICK_S + 0.8)
        os.kill(node.pid, signal.SIGCONT)
        eventually(lambda: lines(node, "node.woke"))
        os.kill(worker, signal.SIGCONT)
        node.await_ready()
        assert node.child_pid("worker") == worker
        assert node.stop() == 0
