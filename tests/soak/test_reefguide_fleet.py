"""Many nodes at one API that grants a job to whoever asks at the same time; and kills at every write of a grant."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.reefguide.api import StandIn
from examples.reefguide.api.accounts import Accounts
from examples.reefguide.api.store import Store
from tests.conftest import eventually
from tests.nodes import Node
from tests.reefguide.nodes import TEST_JOB, settings, variables
from worker.faults import VARIABLE, FaultPoints

JOB = {**TEST_JOB, "retries": {"attempts": 50}}
POINTS = [
    name
    for name in dict.fromkeys((*FaultPoints.reef_names, *FaultPoints.all_names))
    if name.split(".")[0] in ("ask", "take", "drop", "claim", "settle")
]
QUICK = ("take.commit", "settle.committed")
"""The points of the quick tier: a job is about to be one of this node, and its result has just been written down."""


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_many_nodes_give_every_job_exactly_one_result(tier: str, tmp_path: Path) -> None:
    nodes, jobs = (8, 200) if tier == "night" else (3, 40)
    # The limiter allows five log-ins to all nodes behind an address: that is another test's matter.
    store = Store(Accounts(login_limit=1000))
    store.claim_window_s = 0.03
    with StandIn(store) as api, ExitStack() as stack:
        fleet = []
        for number in range(nodes):
            environ = variables(api, MAX_CONCURRENT_JOBS="4")
            node = Node(tmp_path / str(number), settings(JOB, reefguide={"settle": "300ms"}), environ)
            stack.callback(node.destroy)
            fleet.append(node)
            node.start(ready=False)
        for node in fleet:
            node.await_ready(within_s=120)
        made = [store.create("TEST", {"id": number}) for number in range(jobs)]
        eventually(lambda: store.statuses() == {"SUCCEEDED": jobs}, within_s=300, what="all jobs succeed")
        eventually(lambda: not any(map(_holds, fleet)), within_s=60, what="nobody holds a job")
    assert [len(job.results()) for job in made] == [1] * jobs
    assert all(job.history.count("SUCCEEDED") == 1 and "FAILED" not in job.history for job in made)
    ran = [
        line for node in fleet if (node.folder / "ran").exists() for line in (node.folder / "ran").read_text().split()
    ]
    assert len(ran) == len(set(ran)) == jobs
    assert sum(len(job.assignments) for job in made) >= jobs


def _holds(node: Node) -> bool:
    counts = node.health()["counts"]
    return bool(counts["queued"] + counts["running"])


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", POINTS if os.environ.get("SOAK") == "night" else QUICK)
def test_a_kill_at_a_write_loses_no_result_and_doubles_none(point: str, tmp_path: Path) -> None:
    with StandIn() as api, ExitStack() as stack:
        jobs = [api.store.create("TEST", {"id": number}) for number in range(4)]
        environ = variables(api, **{VARIABLE: f"{point}:2"})
        node = Node(tmp_path, settings(JOB), environ)
        stack.callback(node.destroy)
        node.start()
        eventually(lambda: api.store.statuses() == {"SUCCEEDED": 4}, within_s=120, what=f"all succeed: {point} kills")
        lines = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
        assert any(line["event"] == "child.died" for line in lines)
    assert [len(job.results()) for job in jobs] == [1] * 4
