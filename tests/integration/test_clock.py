"""Jumps of the wall clock, and another monotonic clock, do no harm to a real node: it measures no duration by them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, eventually
from tests.nodes import Node, running

JUMPING = """
import itertools, time
real, jumps = time.time, itertools.cycle((0.0, 3600.0, -3600.0, 1.0, -1.0, 31_536_000.0, -31_536_000.0))
real_ns = time.time_ns
time.time = lambda: real() + next(jumps)
time.time_ns = lambda: real_ns() + int(next(jumps) * 1e9)
"""
"""A wall clock that is set anew before every look at it; each process of the node that reads it has this one."""

SETTINGS: dict[str, Any] = {
    "jobs": [
        {"event": "again", "cmd": "echo x >> tries; exit 3", "retries": {"attempts": 4, "backoff": 0.05}},
        {"event": "late", "cmd": "exec sleep 600", "timeout": 1, "kill_grace": 0.5},
        {"event": "quick", "cmd": "sleep 0.2; echo done"},
    ],
    "execs": [{"key": "falls", "cmd": "sleep 0.1; exit 1", "attempt": 2}],
    "heartbeat": {"interval": 0.2, "timeout": 60},
    "drain_grace": 5,
}


def _jumping(folder: Path) -> dict[str, str]:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join((str(folder), str(ROOT)))
    probe = "import time; print(abs(time.time() - time.time()) > 3000)"
    told = subprocess.run([sys.executable, "-c", probe], env={"PYTHONPATH": path}, capture_output=True, check=True)
    assert told.stdout == b"True\n"
    return {"PYTHONPATH": path}


def _check(node: Node) -> None:
    children = [node.child_pid("worker"), node.child_pid("execs")]
    begin = time.monotonic()
    late, again = node.submit("late"), node.submit("again")
    quick = [node.submit("quick") for _ in range(10)]
    assert node.await_status(late, within_s=50)["status"] == "timeout"
    assert 0.9 < time.monotonic() - begin < 60  # nobody waited for an hour of the wall clock
    assert node.await_status(again)["status"] == "error"
    assert (node.folder / "tries").read_text() == "x\n" * 4
    assert {node.await_status(task_id)["status"] for task_id in quick} == {"finish"}
    eventually(lambda: node.get("/execs")[1]["execs"][0]["state"] == "failed", within_s=60)
    assert [node.child_pid("worker"), node.child_pid("execs")] == children, "nobody was taken for hung"
    assert "child.hung" not in node.log.read_text()
    assert node.stop(within_s=60) == 0


def test_a_wall_clock_that_jumps_by_years_stops_nothing_and_ends_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "node", SETTINGS, _jumping(tmp_path / "path")) as node:
        _check(node)


def _can_shift() -> bool:
    try:
        shift = ["unshare", "--time", "--monotonic", "100", "true"]
        return subprocess.run(shift, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("shift_s", ["0", *(["1000000000", "-1"] if _can_shift() else [])])
def test_the_monotonic_clock_may_begin_anywhere(shift_s: str, tmp_path: Path) -> None:
    """As after a start of the machine, or where a container has moved in from another one."""
    shift = (
        ()
        if shift_s == "0"
        else ("unshare", "--time", "--fork", "--kill-child", f"--monotonic={shift_s}", f"--boottime={shift_s}")
    )
    with running(tmp_path, SETTINGS, command=(*shift, sys.executable, "-m", "supervisor")) as node:
        _check_shifted(node)


def _check_shifted(node: Node) -> None:
    assert node.await_status(node.submit("late"))["status"] == "timeout"
    assert node.await_status(node.submit("quick"))["status"] == "finish"
    assert "child.hung" not in node.log.read_text()
