"""Results for the ReefGuide API: posted until it has them, and never over those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.reefguide.api import StandIn
from tests.conftest import eventually
from tests.reefguide.nodes import SLOW, become, lines, polling


@pytest.mark.parametrize("kind", ["lose", "drop", "error", "garble"])
def test_a_result_is_posted_until_the_api_has_it(kind: Any, api: StandIn, tmp_path: Path) -> None:
    api.faults.add("result", kind, times=2)
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        eventually(lambda: lines(node, "result.posted"), within_s=60)
    assert (job.status, len(job.results())) == ("SUCCEEDED", 1)


def test_an_outage_of_the_api_costs_no_result(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        api.faults.add("*", "drop", times=1_000_000)
        (tmp_path / "go").touch()
        eventually(lambda: lines(node, "result.late"), within_s=60)
        assert [line["code"] for line in lines(node, "api.lost")] == ["ERR-RFG-004"]
        api.faults.clear()
        become(job, "SUCCEEDED", within_s=60)


def test_a_result_outlives_the_node_that_could_not_post_it(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    api.faults.add("result", "error", times=1_000_000)
    with polling(tmp_path, api) as node:
        eventually(lambda: lines(node, "result.late"), within_s=60)
        node.destroy()
        api.faults.clear()
        node.start()
        become(job, "SUCCEEDED")
    assert (tmp_path / "ran").read_text().split() == ["1"]


def test_a_result_that_is_refused_for_good_is_told_to_the_log(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        api.store.forget(job.assignments[0].id)
        (tmp_path / "go").touch()
        eventually(lambda: [line["code"] for line in lines(node, "result.refused")] == ["ERR-RFG-010"])


def test_a_job_that_ends_elsewhere_is_ended_here_and_nothing_is_told(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        rival = api.store.create("TEST", {"id": 2})
        api.store.claim_window_s, job.status = 0.0, "PENDING"
        other = api.store.assign({"jobId": job.id, "ecsTaskArn": "an original", "ecsClusterArn": ""}).body["assignment"]
        api.store.conclude(other["id"], {"status": "SUCCEEDED", "resultPayload": {}})
        eventually(lambda: lines(node, "result.withheld"), within_s=60)
        assert [line["code"] for line in lines(node, "job.unwanted")] == ["ERR-RFG-011"]
        (tmp_path / "go").touch()
        become(rival, "SUCCEEDED")
    assert (job.status, len(job.results())) == ("SUCCEEDED", 1)


def test_a_success_is_told_although_the_job_was_timed_out_and_a_failure_is_not(api: StandIn, tmp_path: Path) -> None:
    command = SLOW["cmd"] + "; [ $JOB_ITEM_JOB_ID = 1 ]"  # type: ignore[operator]  # it is a text
    good = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, {**SLOW, "cmd": command}) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        api.store.time_out()
        (tmp_path / "go").touch()
        become(good, "SUCCEEDED")
        (tmp_path / "go").unlink()
        (tmp_path / "started").unlink()
        bad = api.store.create("TEST", {"id": 2})
        eventually((tmp_path / "started").exists, within_s=60)
        api.store.time_out()
        (tmp_path / "go").touch()
        eventually(lambda: lines(node, "result.withheld"))
    assert (bad.status, bad.results()) == ("TIMED_OUT", [])


def test_a_job_that_outlasts_its_assignment_is_ended(api: StandIn, tmp_path: Path) -> None:
    api.store.expiry_s = 1.0
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        become(job, "FAILED")
        assert [line["code"] for line in lines(node, "job.overdue")] == ["ERR-RFG-012"]
