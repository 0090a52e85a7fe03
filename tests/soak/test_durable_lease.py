"""Holders that sleep past their lease: SIGSTOP, the other node takes over, SIGCONT. One effect for each fence."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.brokers.manager import manager_of
from tests.brokers.stages import DURABLE, Stage
from tests.conftest import eventually
from tests.nodes import Node, running
from tests.soak.conftest import Slice

ROUNDS = {"quick": 3, "night": 500}
LEASES = [stage for stage in DURABLE if stage.startswith(("nats", "redis"))]
"""RabbitMQ has no lease: its loans end with the connection, which a server misses after two heartbeats."""


def settings(stage: Stage, ledger: Path) -> dict[str, Any]:
    """A job that writes down its attempt, its fence and whose it is, and goes on until it is let go."""
    return {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(lease=1),
        "jobs": [
            {
                "event": "work",
                "cmd": f"echo $JOB_ITEM_TASK_ID $JOB_ITEM_FENCE $JOB_ITEM_BASE_URL >> {ledger}; sleep 600 & wait $!",
                "retries": {"attempts": 100},
                "kill_grace": 0,
            }
        ],
        "limits": {"concurrency": 2},
        "heartbeat": {"interval": 1, "timeout": 300},
    }


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", LEASES, indirect=True)
def test_who_sleeps_past_his_lease_kills_his_job_and_has_no_say(
    stage: Stage, tier: Literal["quick", "night"], part: Slice, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    wanted = settings(stage, ledger)
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "one", wanted) as one,
        running(tmp_path / "two", wanted) as two,
    ):
        for number in range(part.share(ROUNDS[tier])):
            name = manager.trigger("work", task_id=f"T{number}")
            runs = eventually(partial(_runs, ledger, name, 1), within_s=30)
            old, new = (one, two) if runs[0][1].endswith(f":{one.port}") else (two, one)
            worker = old.child_pid("worker")
            os.kill(worker, signal.SIGSTOP)
            try:
                runs = eventually(partial(_runs, ledger, name, 2), within_s=30)
            finally:
                os.kill(worker, signal.SIGCONT)
            eventually(partial(_is_left, old, name), within_s=10)
            assert manager.said(name, "_finish") == []
            assert new.job(name)["status"] == "running"
            assert runs[0][0] < runs[1][0], "fences grow from node to node"
            assert runs[1][1].endswith(f":{new.port}")
            manager.control(name, "terminate")
            assert manager.await_said(name) == b"terminate"
            assert manager.said(name, "_finish") == [b"terminate"]


def _runs(ledger: Path, name: str, count: int) -> list[tuple[int, str]]:
    """The fences of a job and where they were, once there are so many."""
    lines = [line.split() for line in ledger.read_text().splitlines()]
    found = [(int(fence), url) for task_id, fence, url in lines if task_id == name]
    assert len(found) == count
    return found


def _is_left(node: Node, name: str) -> bool:
    return bool(node.job(name)["status"] == "left")
