"""What a change of version means for jobs: none is ended by it, whatever the settings say of how they are waited for.

The other version is here the same one once more: what is executed again when a node makes room for another.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.state import StateFolder
from tests.conftest import eventually
from tests.nodes import Node, running

LONG_S = 120.0
HELD = "while [ ! -e go ]; do sleep 0.02; done; echo held"


def settings(**update: Any) -> dict[str, Any]:
    return {
        "jobs": [{"event": "hello", "cmd": "echo hello"}, {"event": "held", "cmd": HELD}],
        "execs": [{"key": "beside", "cmd": "sleep 600"}],
        "update": update,
    }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "node", settings(jobs="leave")) as node:
        yield node


def began_at(node: Node) -> float:
    """When the version that runs was started; 0 while there is none."""
    told = StateFolder(node.state).read_node()
    return told.started_at if told is not None else 0.0


def hold(node: Node) -> tuple[str, float]:
    """Have a job run, then ask for a change of version; the job, and when the version of before was started."""
    before, held = began_at(node), node.submit("held")
    node.await_status(held, "running")
    os.kill(node.pid, signal.SIGUSR2)
    return held, before


def await_change(node: Node, before: float) -> None:
    eventually(lambda: began_at(node) > before, within_s=LONG_S, what=node.log.read_text()[-3000:])
    node.await_ready()


def test_with_leave_a_node_works_on_and_changes_in_the_first_moment_without_jobs(node: Node) -> None:
    pid, port = node.pid, node.port
    held, before = hold(node)
    eventually(lambda: "node.awaits_idle" in node.log.read_text(), within_s=LONG_S, what="it was heard")
    assert [node.await_status(node.submit("hello"))["status"] for _ in range(2)] == ["finish"] * 2
    node.configure(settings(jobs="leave", channel="beta"))
    eventually(lambda: "settings.applied" in node.log.read_text(), within_s=LONG_S, what="an edit counts meanwhile")
    assert began_at(node) == before, "a job runs"
    (node.folder / "go").touch()
    await_change(node, before)
    assert (node.pid, node.port) == (pid, port)
    record = node.job(held)
    assert (record["status"], len(record["attempts"])) == ("finish", 1)
    assert node.await_status(node.submit("hello"))["status"] == "finish"
    assert node.stop() == 0


def test_after_the_wait_nothing_more_is_started_and_what_runs_goes_on(node: Node) -> None:
    held, before = hold(node)
    node.configure(settings(jobs="leave", wait="10ms"))
    eventually(lambda: node.get("/readyz")[1]["reasons"], within_s=LONG_S, what="no more jobs are started")
    waiting = node.submit("hello")
    assert (node.job(held)["status"], node.job(waiting)["status"]) == ("running", "queued")
    (node.folder / "go").touch()
    await_change(node, before)
    assert len(node.job(held)["attempts"]) == 1
    assert node.await_status(waiting)["status"] == "finish"
    told = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    by_parent = [line["event"] for line in told if line["room"] == "supervisor"]
    before_it = by_parent[by_parent.index("node.gives_way") - 1]
    assert before_it != "node.woke", "a moment that has passed when it comes into force is no sleep"


def test_a_job_that_is_lost_while_a_change_waits_for_it_is_run_again_by_the_other_version(node: Node) -> None:
    held, before = hold(node)
    eventually(lambda: "node.awaits_idle" in node.log.read_text(), within_s=LONG_S, what="it was heard")
    os.kill(node.child_pid("worker"), signal.SIGKILL)
    await_change(node, before)
    (node.folder / "go").touch()
    record = node.await_status(held)
    assert (record["status"], len(record["attempts"])) == ("finish", 2)


def test_a_node_that_stops_meanwhile_just_stops(node: Node) -> None:
    _, before = hold(node)
    assert node.process is not None
    node.process.send_signal(signal.SIGTERM)
    eventually(lambda: "node.draining" in node.log.read_text(), within_s=LONG_S, what="it stops")
    (node.folder / "go").touch()
    assert node.process.wait(LONG_S) == 0
    assert began_at(node) in (0.0, before)
