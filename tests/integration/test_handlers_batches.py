"""Small jobs that share a slot: they run once, in order, and none waits for a slow one in front of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import handlers
from tests.conftest import eventually
from tests.nodes import Node, running

ACTS = """
import os, time

def small(given: dict) -> int:
    with open(given["log"], "a") as log:
        log.write(given["name"] + "\\n")
    if given.get("gate"):
        with open(given["gate"] + ".pid", "w") as pid:
            pid.write(str(os.getpid()))
        while not os.path.exists(given["gate"]):
            time.sleep(0.005)
    if given.get("fail"):
        raise ValueError(given["name"])
    return os.getpid()
"""
JOBS = [{"event": "small", "handler": "acts:small", "kill_grace": 0.3, "retries": {"attempts": 2, "backoff": 0}}]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    handlers.write(tmp_path, ACTS)
    with running(tmp_path, {"jobs": JOBS, "limits": {"concurrency": 2}}) as node:
        yield node


def fill(node: Node, names: list[str], **more: str) -> list[str]:
    return [node.submit("small", {"name": name, "log": str(node.folder / "log"), **more}) for name in names]


def lines(node: Node) -> list[str]:
    path = node.folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def warm(node: Node) -> None:
    """Let the node learn that these jobs are small."""
    for task_id in fill(node, [f"w{number}" for number in range(10)]):
        assert node.await_status(task_id)["status"] == "finish"


def hold(node: Node) -> tuple[list[str], Path]:
    """Two jobs that hold both slots until their gate is there."""
    gate = node.folder / "gate"
    held = fill(node, ["h0", "h1"], gate=str(gate))
    eventually(lambda: {"h0", "h1"} <= set(lines(node)), what="both slots are held")
    return held, gate


def test_many_small_jobs_run_once_each(node: Node) -> None:
    warm(node)
    held, gate = hold(node)
    names = [f"n{number}" for number in range(300)]
    jobs = fill(node, names)
    gate.touch()
    for task_id in (*held, *jobs):
        job = node.await_status(task_id)
        assert (job["status"], job["attempt"]) == ("finish", 1)
    assert sorted(line for line in lines(node) if line.startswith("n")) == sorted(names)
    assert "jobs.finished" in node.log.read_text(), "none of them shared a slot"


def test_a_slow_job_holds_up_none_that_were_sent_with_it(node: Node) -> None:
    warm(node)
    held, gate = hold(node)
    slow_gate = node.folder / "slow"
    (slow,) = fill(node, ["slow"], gate=str(slow_gate))
    rest = fill(node, [f"n{number}" for number in range(50)])
    gate.touch()
    for task_id in (*held, *rest):
        job = node.await_status(task_id)
        assert (job["status"], job["attempt"]) == ("finish", 1)
    assert node.job(slow)["status"] == "running"
    slow_gate.touch()
    assert node.await_status(slow)["status"] == "finish"


def test_one_that_is_cancelled_costs_the_others_nothing(node: Node) -> None:
    warm(node)
    held, gate = hold(node)
    (slow,) = fill(node, ["slow"], gate=str(node.folder / "never"))
    rest = fill(node, [f"n{number}" for number in range(20)])
    gate.touch()
    node.await_status(slow, "running")
    assert node.ask("POST", f"/jobs/{slow}/cancel")[0] == 200
    assert node.await_status(slow)["status"] == "terminate"
    assert [node.await_status(task_id)["status"] for task_id in (*held, *rest)] == ["finish"] * 22


def test_those_that_fail_are_tried_again_and_the_others_are_not(node: Node) -> None:
    warm(node)
    _, gate = hold(node)
    bad = fill(node, ["b0", "b1"], fail="yes")
    good = fill(node, [f"n{number}" for number in range(20)])
    gate.touch()
    assert [(job["status"], job["attempt"]) for job in map(node.await_status, bad)] == [("error", 2)] * 2
    assert [node.await_status(task_id)["attempt"] for task_id in good] == [1] * 20
    assert lines(node).count("b0") == 2


def test_the_death_of_a_process_costs_the_job_that_it_ran(node: Node) -> None:
    warm(node)
    held, gate = hold(node)
    (slow,) = fill(node, ["slow"], gate=str(node.folder / "never"))
    rest = fill(node, [f"n{number}" for number in range(20)])
    gate.touch()
    for task_id in (*held, *rest):
        assert node.await_status(task_id)["status"] == "finish"
    node.await_status(slow, "running")
    said = node.folder / "never.pid"
    eventually(lambda: said.exists() and said.read_text(), what="it says where it runs")
    os.kill(int(said.read_text()), signal.SIGKILL)  # no other one: the next attempt may begin at once in that
    (node.folder / "never").touch()
    assert node.await_status(slow)["status"] == "finish"
    assert lines(node).count("slow") <= 2


def test_the_death_of_the_job_child_loses_none_of_them(node: Node) -> None:
    warm(node)
    _, gate = hold(node)
    names = [f"n{number}" for number in range(200)]
    jobs = fill(node, names)
    gate.touch()
    eventually(lambda: len(lines(node)) > 20, what="some have run")
    os.kill(node.child_pid("worker"), signal.SIGKILL)
    node.await_ready()
    end = time.monotonic() + 120  # of all of them together
    for task_id in jobs:
        assert node.await_status(task_id, within_s=end - time.monotonic())["status"] == "finish"
    assert set(names) <= set(lines(node))
