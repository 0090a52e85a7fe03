"""Several nodes and a Go worker share one project: each trigger is run once, counted by what the jobs wrote."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from job_item.job import new_task_id
from tests.brokers.goworker import go_worker
from tests.brokers.manager import manager_of
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.nodes import Node, running

TRIGGERS, BATCH = 1_000, 100
"""In batches: a member of a Redis group that is more than 5 s behind runs again what others ran."""


@pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)
def test_two_nodes_and_a_go_worker_share_a_thousand_triggers_each_run_once(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    cmd = f"echo {{{{task_id}}}} >> {ledger}"
    settings: dict[str, Any] = {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(),
        "jobs": [{"event": "count", "cmd": cmd}],
        "limits": {"concurrency": 4},
        "log": {"level": "WARNING", "format": "json"},
    }

    def are_run(count: int) -> bool:
        return len(ledger.read_text().split()) >= count

    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "one", settings) as one,
        running(tmp_path / "two", settings) as two,
        go_worker(stage.settings(), "count", cmd) as other,
    ):
        names = [new_task_id() for _ in range(TRIGGERS)]
        for begin in range(0, TRIGGERS, BATCH):
            for name in names[begin : begin + BATCH]:
                manager.trigger("count", {"n": name}, name, listen=False)
            eventually(partial(are_run, begin + BATCH), within_s=120, what="a batch is run")
        eventually(lambda: len(ledger.read_text().split()) >= TRIGGERS, within_s=120, what="all are run")
        ours = [node.get("/jobs?limit=1000")[1]["jobs"] for node in (one, two)]
        written = Counter(ledger.read_text().split())
        assert written == Counter(names)
        shares = [len(ours[0]), len(ours[1]), len(other.ran)]
        assert sum(shares) == TRIGGERS
        assert all(shares), shares
        eventually(
            lambda: all(
                job["status"] == "finish" for node in (one, two) for job in node.get("/jobs?limit=1000")[1]["jobs"]
            ),
            within_s=60,
        )


@pytest.mark.parametrize("stage", ["rabbitmq-password"], indirect=True)
def test_a_busy_node_leaves_jobs_to_another_one(stage: Stage, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(),
        "jobs": [{"event": "wait", "cmd": "exec sleep 600"}, {"event": "quick", "cmd": "true"}],
        "limits": {"concurrency": 2},
    }

    def await_full(node: Node) -> None:
        eventually(lambda: node.health()["counts"]["running"] == 2, within_s=60, what="both slots are taken")

    def jobs_of(node: Node) -> set[str]:
        return {job["task_id"] for job in node.get("/jobs")[1]["jobs"]}

    with manager_of(stage.settings()) as manager, running(tmp_path / "one", settings) as one:
        waits = [manager.trigger("wait", listen=False) for _ in range(2)]
        await_full(one)
        with running(tmp_path / "two", settings) as two:
            two.await_ready()
            quick = {manager.trigger("quick", listen=False) for _ in range(20)}
            eventually(lambda: two.health()["counts"]["finish"] == 20, within_s=60, what="the idle node ran them all")
            assert jobs_of(two) == quick
            waits += [manager.trigger("wait", listen=False) for _ in range(4)]
            await_full(two)
            with running(tmp_path / "three", settings) as three:
                await_full(three)
                held = [jobs_of(one), jobs_of(two) - quick, jobs_of(three)]
                assert sorted(task_id for jobs in held for task_id in jobs) == sorted(waits)
