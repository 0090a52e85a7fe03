"""Hundreds of jobs end while the Job Manager is away and the node is killed: he gets the result of each, once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.jobmanager import JobManager, managing, node_settings
from tests.nodes import Node, running

COUNTS = {"quick": 300, "night": 1_000}
"""Jobs of a tier."""
FLAPS = {"quick": 0, "night": 60}
"""How often at most the manager comes and goes for a second when he is back; with RabbitMQ he needs more than that."""
STAGES = ["nats-plain", "redis-plain", "rabbitmq-password"] if os.environ.get("SOAK") == "night" else ["nats-plain"]
LEAVE = (
    "until [ -e {gate} ]; do sleep 0.05; done; echo done;"
    """ curl -sf --retry 9 --retry-connrefused --data '{{"status":"completed","of":"{{{{task_id}}}}"}}'"""
    " $JOB_ITEM_BASE_URL/msg/outbox/result/{{{{task_id}}}}"
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("stage", STAGES, indirect=True)
def test_jobs_that_end_in_an_outage_give_their_results_once_each(
    stage: Stage, tmp_path: Path, tier: Literal["quick", "night"]
) -> None:
    gate = tmp_path / "gate"
    jobs = COUNTS[tier]
    settings = {"jobs": [{"event": "work", "cmd": LEAVE.format(gate=gate)}], "limits": {"concurrency": 8}}
    with (
        managing(tmp_path / "manager", stage.settings(), [{"event": "work"}]) as manager,
        running(tmp_path / "node", node_settings(manager, **settings)) as node,
    ):
        tasks = [manager.create("work") for _ in range(jobs)]
        if stage.kind == "rabbitmq":  # there jobs that have to wait stay at the broker, which goes on without a manager
            eventually(lambda: manager.overview()["counts"].get("running", 0) == 8, within_s=60)
        else:
            eventually(lambda: _known(node) == jobs, within_s=300)
        manager.kill()
        gate.touch()
        # What lies in a queue of RabbitMQ goes with its last consumer, whatever a node does: there all are taken first.
        for share in (1, 1) if stage.kind == "rabbitmq" else (1 / 4, 1 / 2):
            eventually(partial(_has_ended, node, jobs * share), within_s=900)
            os.kill(node.child_pid("worker"), signal.SIGKILL)
            eventually(lambda: node.get("/readyz")[0] == 200, within_s=60)
        eventually(lambda: _ended(node) == jobs, within_s=600)
        manager.start(within_s=300)  # he has five subjects of each task to subscribe
        eventually(lambda: _results(manager), within_s=30, what="his return is noticed: it takes about a second")
        flaps = FLAPS[tier] // (20 if stage.kind == "rabbitmq" else 1)
        for _ in range(flaps):
            if manager.overview()["counts"] == {"finish": jobs}:
                break
            time.sleep(1)
            manager.stop()  # one that is killed loses what its broker has handed to it, which no node can know
            time.sleep(1)
            manager.start(connected=False)
        eventually(lambda: manager.overview()["counts"] == {"finish": jobs}, within_s=600)
        _check(manager, tasks, is_steady=not flaps)


def _check(manager: JobManager, tasks: list[str], *, is_steady: bool) -> None:
    """Everything came, in its order; in a steady world a status comes once."""
    assert sorted(_results(manager)) == sorted(tasks)
    with closing(sqlite3.connect(manager.folder / "state" / "manager.sqlite")) as db:
        finishes = Counter(count for (count,) in db.execute("SELECT finishes FROM jobs"))
        order = db.execute(
            "SELECT task_id, group_concat(what) FROM (SELECT * FROM said ORDER BY number) GROUP BY task_id"
        )
        told = Counter(words for _, words in order)
    if is_steady:
        assert finishes == {1: len(tasks)}
        assert all(words.endswith("_finish") for words in told), told


def _results(manager: JobManager) -> list[str]:
    with closing(sqlite3.connect(manager.folder / "state" / "manager.sqlite")) as db:
        return [json.loads(body)["of"] for (body,) in db.execute("SELECT body FROM results")]


def _counts(node: Node) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{node.state}/journal.sqlite?mode=ro", uri=True)) as db:
        rows: list[Any] = db.execute("SELECT status, count(*) FROM tasks GROUP BY status").fetchall()
        return Counter(dict(rows))


def _known(node: Node) -> int:
    return sum(_counts(node).values())


def _has_ended(node: Node, count: float) -> bool:
    return _ended(node) >= count


def _ended(node: Node) -> int:
    return _counts(node)["finish"]
