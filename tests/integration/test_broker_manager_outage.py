"""The Job Manager or the broker is away, at each stage of jobs: what they did is known to him afterwards, once each."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.manager import manager_of
from tests.brokers.stages import Stage
from tests.conftest import ROOT, eventually
from tests.jobmanager import JobManager, managing, node_settings
from tests.nodes import Node, running

pytestmark = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)

EVENTS = [{"event": "work"}, {"event": "report"}, {"event": "late"}]
REPORT = """
import pathlib, sys
from job_item import notify, submit_result, upload
notify("begins")
path = pathlib.Path(sys.argv[1]) / "report.csv"
path.parent.mkdir()
path.write_text("name,value\\n")
receipt = upload(path)
submit_result({"waited": receipt.is_waiting})
notify("ends")
"""


def jobs_of(gate: Path, script: Path) -> list[dict[str, Any]]:
    """Jobs that begin, say something, and end when the gate is open."""
    wait = f"until [ -e {gate} ]; do sleep 0.05; done"
    sdk = f"PYTHONPATH={ROOT} {sys.executable} {script} $JOB_ITEM_TASK_ID.files"
    return [
        {"event": "work", "cmd": f"echo begins; {wait}; echo ends; echo why >&2; exit 1"},
        {"event": "report", "cmd": f"echo begins; {wait}; {sdk}"},
        {"event": "late", "cmd": "echo late"},
    ]


def check(manager: JobManager, works: list[str], reports: list[str]) -> None:
    """Everything is known, once, and in order."""
    for task in works:
        assert manager.await_status(task, within_s=60)["status"] == "error"
        eventually(lambda task=task: manager.output(task) == b"begins\nends\n", within_s=30, what="all of its output")  # type: ignore[misc]
        assert manager.order(task) == ["_who", "_failed", "_finish"], task
        assert manager.said(task, "_failed") == ["why\n"]
    for task in reports:
        job = manager.await_status(task, within_s=60)
        assert job["status"] == "finish", manager.said(task, "_failed")
        assert [file["name"] for file in job["files"]] == ["report.csv"]
        assert [json.loads(result["body"])["status"] for result in job["results"]] == ["completed"]
        assert manager.notes(task) == ["begins", "ends"]
        assert manager.order(task) == ["_who", ".notif_add", ".notif_add", "_finish"]


def all_run(manager: JobManager, tasks: list[str]) -> None:
    for task in tasks:
        manager.await_status(task, "running")
    eventually(lambda: all(manager.output(task) == b"begins\n" for task in tasks), within_s=20)


def nobody_listens(stage: Stage, tasks: list[str]) -> None:
    """Wait until the broker has noticed that the manager is dead: what RabbitMQ still takes for its queue is lost."""

    def is_so() -> bool:
        return not any(probe.run(probe.connection.deliver(f"{task}_process", b"")) for task in tasks)

    with manager_of(stage.settings()) as probe:
        eventually(is_so, within_s=30, what="nobody listens")


def ended_on(node: Node, tasks: list[str]) -> None:
    for task in tasks:
        node.await_status(task, within_s=90)


def test_what_ends_while_the_manager_is_away_he_knows_when_he_is_back(stage: Stage, tmp_path: Path) -> None:
    gate, script = tmp_path / "gate", tmp_path / "report.py"
    script.write_text(REPORT)
    with (
        managing(tmp_path / "manager", stage.settings(), EVENTS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs_of(gate, script))) as node,
    ):
        works, reports = [manager.create("work") for _ in range(2)], [manager.create("report")]
        all_run(manager, works + reports)
        manager.kill()
        nobody_listens(stage, works + reports)
        gate.touch()
        ended_on(node, works + reports)
        assert node.get("/readyz")[0] == 200, "jobs are taken all the same"
        manager.start()
        begun_s = time.monotonic()
        eventually(lambda: manager.overview()["counts"].get("running", 0) < 3, within_s=20)
        assert time.monotonic() - begun_s < 5
        check(manager, works, reports)
        late = manager.create("late")
        assert manager.await_status(late)["status"] == "finish"


def test_what_ends_while_the_broker_is_away_is_known_when_it_is_back(stage: Stage, tmp_path: Path) -> None:
    gate, script = tmp_path / "gate", tmp_path / "report.py"
    script.write_text(REPORT)
    with (
        managing(tmp_path / "manager", stage.settings(), EVENTS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs_of(gate, script))) as node,
    ):
        works, reports = [manager.create("work") for _ in range(2)], [manager.create("report")]
        all_run(manager, works + reports)
        stage.shuts_down()
        gate.touch()
        ended_on(node, works + reports)
        stage.comes_back()
        check(manager, works, reports)


def test_a_node_that_is_killed_while_nobody_is_there_has_forgotten_nothing(stage: Stage, tmp_path: Path) -> None:
    gate, script = tmp_path / "gate", tmp_path / "report.py"
    script.write_text(REPORT)
    with (
        managing(tmp_path / "manager", stage.settings(), EVENTS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs_of(gate, script))) as node,
    ):
        works, reports = [manager.create("work") for _ in range(2)], [manager.create("report")]
        all_run(manager, works + reports)
        stage.shuts_down()
        manager.kill()
        gate.touch()
        ended_on(node, works + reports)
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        stage.comes_back()
        eventually(lambda: node.get("/readyz")[0] == 200, within_s=30)
        manager.start()
        check(manager, works, reports)


def test_a_job_that_nobody_took_is_run_when_a_node_is_there(stage: Stage, tmp_path: Path) -> None:
    with managing(tmp_path / "manager", stage.settings(), EVENTS) as manager:
        before = manager.create("late")
        manager.kill()
        manager.start()
        assert manager.job(before)["status"] == "waiting"
        with running(tmp_path / "node", node_settings(manager, jobs=[{"event": "late", "cmd": "echo late"}])):
            assert manager.await_status(before)["status"] == "finish"
            assert manager.await_status(manager.create("late"))["status"] == "finish"
