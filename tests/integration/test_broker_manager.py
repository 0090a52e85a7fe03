"""A node and the example Job Manager, over each broker: what the manager knows is what the node did."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.jobmanager import UUID, JobManager, managing, node_settings
from tests.nodes import running

pytestmark = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)

JOBS: list[dict[str, Any]] = [
    {"event": "work", "nested": [{"event": "part"}]},
    {"event": "slow", "timeout": 1},
    {"event": "one", "limit_process": 1},
]


def reports_of(manager: JobManager) -> dict[str, Any]:
    """The newest report on each subject, once there are all."""
    reports = {one["subject"]: json.loads(one["body"]) for one in manager.overview()["reports"]}
    assert len(reports) == 7, sorted(reports)
    return reports


def test_a_job_is_run_and_all_of_it_is_heard_in_order_and_all_of_the_machine(stage: Stage, tmp_path: Path) -> None:
    jobs = [
        {"event": "work", "cmd": "echo hello {{name}}; echo said by me | job_item save; echo oops >&2; exit 3"},
        {"event": "work.part", "cmd": "echo part"},
        {"event": "slow", "cmd": "sleep 600"},
        {"event": "one", "cmd": "sleep 0.2"},
    ]
    with (
        managing(tmp_path / "manager", stage.settings(), JOBS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs)) as node,
    ):
        task = manager.create("work", {"name": "wörld"})
        assert manager.await_status(task)["status"] == "error"
        assert manager.output(task).decode() == "hello wörld\nsaid by me\n"
        assert manager.notes(task) == ["said by me\n"]
        assert manager.order(task) == ["_who", ".notif_add", "_failed", "_finish"]
        assert manager.said(task, "_failed") == ["oops\n"]
        part = manager.create("work.part")
        assert manager.await_status(part)["status"] == "finish"
        assert manager.output(part) == b"part\n", "what was on its way at the end is not said again"
        slow = manager.await_status(manager.create("slow"))
        assert slow["status"] == "timeout"
        assert slow["ended_at"] - slow["began_at"] < 20
        reports = eventually(lambda: reports_of(manager), within_s=60)
        host = reports.pop("listen_host_information")
        assert {report["host_id"] for report in reports.values()} == {host["hostId"]}
        assert {report["project_data_uuid"] for report in reports.values()} == {UUID}
        assert manager.job(task)["host"] == host["hostId"], "the payload of T_who is the same"
        several = [manager.create("one") for _ in range(4)]
        for each in several:
            assert manager.await_status(each)["status"] == "finish"
        # By the node's own record: who has a job next is heard beside how the one before has ended.
        spans = sorted((job["started_at"], job["finished_at"]) for job in map(node.job, several))
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert ended <= began, "limit_process: 1"


def test_a_running_job_is_pinged_and_terminated_and_a_waiting_one_too(stage: Stage, tmp_path: Path) -> None:
    jobs = [{"event": "work", "cmd": "sleep 600"}]
    with (
        managing(tmp_path / "manager", stage.settings(), JOBS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs)),
    ):
        task = manager.create("work")
        manager.await_status(task, "running")
        ping = f"/api/jobs/{task}/ping"  # a node with RabbitMQ listens for it when it has had the task for a while
        eventually(lambda: json.loads(manager.ask("POST", ping, {})[1])["heard"], within_s=30)
        eventually(lambda: manager.said(task, "_listen.callback") == ["world"])
        manager.act(task, "terminate")
        assert manager.await_status(task)["status"] == "terminate"
        assert manager.said(task, "_failed") == []
        nobody = manager.create("slow")
        assert manager.job(nobody)["status"] == "waiting", "no node has this event"
        manager.act(nobody, "terminate")
        assert manager.job(nobody)["status"] == "terminate"


def test_a_job_is_ended_while_it_waits_for_a_slot_or_for_its_next_attempt_or_the_node_drains(
    stage: Stage, tmp_path: Path
) -> None:
    jobs = [
        {"event": "work", "cmd": "sleep 600", "concurrency": 1},
        {"event": "one", "cmd": "exit 1", "retries": {"attempts": 5, "backoff": "1h", "backoff_max": "1h"}},
    ]
    with (
        managing(tmp_path / "manager", stage.settings(), JOBS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs)) as node,
    ):
        retried = manager.create("one")
        eventually(lambda: len(node.job(retried)["attempts"]) == 1, within_s=60)
        manager.act(retried, "timeout")
        assert manager.await_status(retried)["status"] == "timeout"
        first = manager.create("work")
        manager.await_status(first, "running")
        second = manager.create("work")
        manager.await_status(second, "sent")
        manager.act(second, "terminate")
        if stage.kind == "rabbitmq":  # there it waits at the broker, where nobody can end it
            manager.act(first, "terminate")
            assert manager.await_status(first)["status"] == "terminate"
            first = manager.create("work")
        assert manager.await_status(second)["status"] == "terminate"
        assert manager.job(second)["finishes"] == 1
        manager.await_status(first, "running")
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        eventually(lambda: node.get("/readyz")[0] == 503)
        manager.act(first, "terminate")
        assert manager.await_status(first)["status"] == "terminate"
        assert node.process.wait(60) == 0
