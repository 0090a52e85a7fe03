"""A node of a Job Manager that has `delivery: durable` of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.stages import DURABLE, Stage
from tests.conftest import eventually
from tests.jobmanager import managing, node_settings
from tests.nodes import running

SERVED = [stage for stage in DURABLE if "embedded" not in stage]
JOBS: list[dict[str, Any]] = [{"event": "work"}]


@pytest.mark.parametrize("stage", SERVED, indirect=True)
def test_a_job_of_a_manager_outlives_the_loss_of_its_child_and_is_told_once(stage: Stage, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    jobs = [
        {"event": "work", "cmd": f"echo $JOB_ITEM_ATTEMPT >> {ran}; echo hello; test $JOB_ITEM_ATTEMPT = 2 || sleep 60"}
    ]
    answered = stage.settings(delivery=None, lease=None)
    wanted = {"broker_connection": {"delivery": "durable", "lease": 600}}
    with (
        managing(tmp_path / "manager", answered, JOBS) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs, **wanted)) as node,
    ):
        task = manager.create("work")
        eventually(ran.exists, within_s=60, what="the first attempt runs")
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        assert manager.await_status(task, within_s=60)["status"] == "finish"
        assert manager.order(task)[-1] == "_finish"
        assert manager.said(task, "_finish") == ["finish"]
        assert [attempt["attempt"] for attempt in node.job(task)["attempts"]] == [1, 2]
