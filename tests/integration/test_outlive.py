"""No process of the node, of either room, outlives it: whatever it dies of, and in whatever state its children are."""

from __future__ import annotations

import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running, tree_of

SETTINGS: dict[str, Any] = {
    "jobs": [{"event": "long", "cmd": "trap '' TERM HUP; (setsid sleep 600 &); sleep 600"}],
    "execs": [{"key": "beside", "cmd": "(setsid sleep 601 &); sleep 601"}],
}

DEATHS = {
    "killed": signal.SIGKILL,
    "segmentation fault": signal.SIGSEGV,
    "aborted": signal.SIGABRT,
    "bus error": signal.SIGBUS,
    "illegal instruction": signal.SIGILL,
    "hung up": signal.SIGALRM,
    "time used up": signal.SIGXCPU,
}


def _busy(node: Node) -> list[int]:
    """All processes below a node that runs a job and an exec, each with a process that has left its session."""
    resource.prlimit(node.pid, resource.RLIMIT_CORE, (0, 0))
    node.await_status(node.submit("long"), "running")
    eventually(lambda: _sleeping(node) >= 4)
    return [pid for pid in tree_of(node.pid) if pid != node.pid]


def _sleeping(node: Node) -> int:
    """How many sleep, the shells that are about to start one not counted."""
    return sum(_command(pid).startswith(b"sleep\0") for pid in tree_of(node.pid))


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _die(node: Node, number: int) -> None:
    assert node.process is not None
    node.process.send_signal(number)
    assert node.process.wait(60) == -number


def _gone(pids: list[int]) -> None:
    eventually(lambda: not any(map(is_alive, pids)), within_s=60, what="nothing of the node is left")


@pytest.mark.parametrize("death", DEATHS)
def test_nothing_outlives_a_node_that_dies(death: str, tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        below = _busy(node)
        _die(node, DEATHS[death])
        _gone(below)


@pytest.mark.parametrize("stopped", ["job child", "execs child", "forkserver", "children", "zygotes", "all"])
def test_nothing_outlives_it_though_it_was_stopped(stopped: str, tmp_path: Path) -> None:
    """A stopped process sees no end of its leash."""
    with running(tmp_path, SETTINGS) as node:
        below = _busy(node)
        (forkserver,) = children_of(node.pid)
        children = [node.child_pid("worker"), node.child_pid("execs")]
        zygotes = [zygote for child in children for zygote in children_of(child)]
        victims = {
            "job child": children[:1],
            "execs child": children[1:],
            "forkserver": [forkserver],
            "children": children,
            "zygotes": zygotes,
            "all": [forkserver, *children, *zygotes],
        }
        for pid in victims[stopped]:
            os.kill(pid, signal.SIGSTOP)
        _die(node, signal.SIGKILL)
        _gone(below)


def test_nothing_outlives_it_when_the_forkserver_died_before(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        below = _busy(node)
        (forkserver,) = children_of(node.pid)
        os.kill(forkserver, signal.SIGKILL)
        child = node.child_pid("worker")
        eventually(lambda: child in children_of(node.pid))
        os.kill(child, signal.SIGSTOP)
        _die(node, signal.SIGKILL)
        _gone(below)


@pytest.mark.parametrize("room", ["child_process", "child_execs_process"])
def test_nothing_outlives_a_room_by_hand(room: str, tmp_path: Path) -> None:
    node = Node(tmp_path, SETTINGS, command=(sys.executable, "-m", "supervisor", room))
    try:
        node.start(ready=room == "child_process")
        if room == "child_process":
            node.await_status(node.submit("long"), "running")
        eventually(lambda: _sleeping(node) >= 2, within_s=60)
        below = [pid for pid in tree_of(node.pid) if pid != node.pid]
        _die(node, signal.SIGKILL)
        _gone(below)
    finally:
        node.destroy()
