"""The job child is killed at every step of poll, claim, run and post: no result is lost, none is accepted twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.reefguide.api import StandIn
from tests.conftest import eventually
from tests.nodes import Node
from tests.reefguide.nodes import TEST_JOB, polling
from worker.faults import CALL_MOMENTS, CALLS, VARIABLE

JOB = {**TEST_JOB, "retries": {"attempts": 50}}
POINTS = [f"{call}.{moment}" for call in CALLS for moment in CALL_MOMENTS if call != "login"]


def deaths(node: Node) -> int:
    found = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return sum(line["event"] == "child.died" for line in found)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_call_loses_no_result_and_doubles_none(point: str, api: StandIn, tmp_path: Path) -> None:
    jobs = [api.store.create("TEST", {"id": number}) for number in range(4)]
    # Each incarnation is killed at a passing that lets it get a little further than the one before: it looks first for
    # the claim that the last one left behind, and then what became of it.
    environ = {VARIABLE: f"{point}:{4 if point.startswith('confirm') else 2}"}
    with polling(tmp_path, api, JOB, environ=environ) as node:
        eventually(lambda: api.store.statuses() == {"SUCCEEDED": 4}, within_s=150, what=f"all succeed: {point} kills")
        assert deaths(node) >= 1
    assert [len(job.results()) for job in jobs] == [1] * 4
    assert set((tmp_path / "ran").read_text().split()) >= {
        str(one.id) for job in jobs for one in job.assignments if one.result
    }


@pytest.mark.parametrize("moment", CALL_MOMENTS)
def test_a_kill_at_the_log_in_is_one_log_in_more_at_most(moment: str, api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, JOB, environ={VARIABLE: f"login.{moment}:1"}) as node:
        eventually(lambda: deaths(node) >= 1)
        node.destroy()
        logins = api.faults.seen["login"]
    with polling(tmp_path, api, JOB):
        eventually(lambda: job.status == "SUCCEEDED", within_s=150)
    assert api.faults.seen["login"] <= logins + 1


def test_a_kill_of_the_whole_node_leaves_nothing_in_progress(api: StandIn, tmp_path: Path) -> None:
    jobs = [api.store.create("TEST", {"id": number}) for number in range(6)]
    slow = {**JOB, "cmd": f"sleep 0.3; {TEST_JOB['cmd']}"}
    with polling(tmp_path, api, slow, environ={"MAX_CONCURRENT_JOBS": "2"}) as node:
        for done in (1, 3):
            eventually(lambda: api.store.statuses().get("SUCCEEDED", 0) >= done, within_s=150)  # noqa: B023 - used at once
            node.destroy()
            node.start()
        eventually(lambda: api.store.statuses() == {"SUCCEEDED": 6}, within_s=150)
    assert [len(job.results()) for job in jobs] == [1] * 6
