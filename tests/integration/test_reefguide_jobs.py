"""A node polls the stand-in of the ReefGuide API: the rows of protocol reefguide.md, section 14, one by one."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from examples.reefguide.api import StandIn
from examples.reefguide.api.store import Job
from tests.conftest import ROOT, eventually
from tests.nodes import Node
from tests.reefguide.nodes import TEST_JOB, polling, settings, variables

SLOW = {"event": "TEST", "cmd": "touch started; while ! [ -e go ]; do sleep 0.02; done", "kill_grace": 0.1}


@pytest.fixture
def api() -> Iterator[StandIn]:
    with StandIn() as made:
        yield made


def become(job: Job, status: str, within_s: float = 20.0) -> None:
    eventually(lambda: job.status == status, within_s=within_s, what=f"{status}, not {job.history}")


def results(job: Job) -> list[Any]:
    return [result.payload for result in job.results()]


def lines(node: Node, event: str) -> list[dict[str, Any]]:
    """The lines of a node's log that tell of an event."""
    found = [json.loads(line) for line in node.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


# the work itself


def test_a_command_serves_a_type_and_knows_its_assignment(api: StandIn, tmp_path: Path) -> None:
    cmd = 'env > seen; echo working; echo \'{"cog_path": "x.tiff"}\''
    environ = {"JOB_TYPES": "REGIONAL_ASSESSMENT", "DATA_PATH": "/data", "S3_ENDPOINT": "http://minio:9000"}
    job = api.store.create("REGIONAL_ASSESSMENT", {"region": "Far North", "reef_type": "slopes"})
    with polling(tmp_path, api, {"event": "REGIONAL_ASSESSMENT", "cmd": cmd}, environ=environ):
        become(job, "SUCCEEDED")
    (assignment,) = job.assignments
    assert results(job) == [{"cog_path": "x.tiff"}]
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert seen["JOB_ITEM_STORAGE_URI"] == assignment.storage_uri
    assert (seen["JOB_ITEM_JOB_ID"], seen["JOB_ITEM_ASSIGNMENT_ID"]) == (str(job.id), str(assignment.id))
    assert (seen["DATA_PATH"], seen["AWS_REGION"]) == ("/data", "ap-southeast-2")
    assert seen["JOB_ITEM_DATA_REGION"] == "Far North"
    assert "WORKER_PASSWORD" not in seen


def test_a_failure_and_a_result_that_does_not_fit_are_told_as_failed_with_null(api: StandIn, tmp_path: Path) -> None:
    jobs = [
        {"event": "TEST", "cmd": "exit 1"},
        {"event": "SUITABILITY_ASSESSMENT", "cmd": 'echo \'{"geojson": "x"}\''},
    ]
    failed, misfit = api.store.create("TEST", {"id": 1}), api.store.create("SUITABILITY_ASSESSMENT", {})
    with polling(tmp_path, api, *jobs, environ={"JOB_TYPES": "TEST,SUITABILITY_ASSESSMENT"}) as node:
        become(failed, "FAILED")
        become(misfit, "FAILED")
        assert [line["code"] for line in lines(node, "result.misfit")] == ["ERR-RFG-009"]
    assert results(failed) == results(misfit) == [None]


def test_a_failed_attempt_is_retried_here_before_anything_is_told(api: StandIn, tmp_path: Path) -> None:
    cmd = "[ $JOB_ITEM_ATTEMPT -gt 2 ]"
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, {"event": "TEST", "cmd": cmd, "retries": {"attempts": 3, "backoff": 0.01}}):
        become(job, "SUCCEEDED")
    assert job.history == ["PENDING", "IN_PROGRESS", "SUCCEEDED"]


def test_older_jobs_of_other_types_hide_nothing(api: StandIn, tmp_path: Path) -> None:
    for number in range(12):
        api.store.create("ADRIA_MODEL_RUN", {"n": number})
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api):
        become(job, "SUCCEEDED")


def test_as_many_jobs_run_at_once_as_there_are_slots(api: StandIn, tmp_path: Path) -> None:
    cmd = "touch up.$JOB_ITEM_JOB_ID; while ! [ -e go ]; do sleep 0.02; done"
    jobs = [api.store.create("TEST", {"id": number}) for number in range(5)]
    environ = {"MAX_CONCURRENT_JOBS": "3"}
    with polling(tmp_path, api, {"event": "TEST", "cmd": cmd}, environ=environ, limits={"concurrency": 5}):
        eventually(lambda: len(list(tmp_path.glob("up.*"))) == 3, what="three jobs run")
        polls = api.faults.seen["poll"]
        assert api.store.statuses() == {"IN_PROGRESS": 3, "PENDING": 2}
        (tmp_path / "go").touch()
        eventually(lambda: api.store.statuses() == {"SUCCEEDED": 5})
    assert polls <= 5  # nobody polls without a free slot
    assert {len(job.assignments) for job in jobs} == {1}


# answers that are lost


def test_a_claim_whose_answer_was_lost_is_found_and_run_once(api: StandIn, tmp_path: Path) -> None:
    api.faults.add("assign", "lose")
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        become(job, "SUCCEEDED")
        assert lines(node, "claim.found")
    assert (tmp_path / "ran").read_text().split() == ["1"]


def test_a_claim_that_never_arrived_is_made_again(api: StandIn, tmp_path: Path) -> None:
    api.faults.add("assign", "drop")
    first, second = (api.store.create("TEST", {"id": number}) for number in range(2))
    with polling(tmp_path, api):
        become(first, "SUCCEEDED", within_s=90)
        become(second, "SUCCEEDED", within_s=90)
    assert api.faults.seen["assign"] >= 2


@pytest.mark.parametrize("kind", ["lose", "drop", "error", "garble"])
def test_a_result_is_posted_until_the_api_has_it(kind: Any, api: StandIn, tmp_path: Path) -> None:
    api.faults.add("result", kind, times=2)
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        eventually(lambda: lines(node, "result.posted"), within_s=20)
    assert (job.status, len(job.results())) == ("SUCCEEDED", 1)


def test_an_outage_of_the_api_costs_no_result(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists)
        api.faults.add("*", "drop", times=1_000_000)
        (tmp_path / "go").touch()
        eventually(lambda: lines(node, "result.late"), within_s=20)
        assert [line["code"] for line in lines(node, "api.lost")] == ["ERR-RFG-004"]
        api.faults.clear()
        become(job, "SUCCEEDED", within_s=60)


def test_a_result_outlives_the_node_that_could_not_post_it(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    api.faults.add("result", "error", times=1_000_000)
    with polling(tmp_path, api) as node:
        eventually(lambda: lines(node, "result.late"), within_s=20)
        node.destroy()
        api.faults.clear()
        node.start()
        become(job, "SUCCEEDED")
    assert (tmp_path / "ran").read_text().split() == ["1"]


# others


def test_a_job_that_two_nodes_were_granted_is_run_by_one(api: StandIn, tmp_path: Path) -> None:
    api.store.claim_window_s = 0.6  # both look before either claims
    job = api.store.create("TEST", {"id": 1})
    quick = {"settle": "1s"}
    with polling(tmp_path / "a", api, reefguide=quick), polling(tmp_path / "b", api, reefguide=quick):
        rival = api.store.create("TEST", {"id": 2})
        for each in (job, rival):
            become(each, "SUCCEEDED", within_s=40)
        api.store.claim_window_s = 0.0
    assert [len(each.results()) for each in (job, rival)] == [1, 1]


def test_a_job_that_ends_elsewhere_is_ended_here_and_nothing_is_told(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists)
        rival = api.store.create("TEST", {"id": 2})
        api.store.claim_window_s, job.status = 0.0, "PENDING"
        other = api.store.assign({"jobId": job.id, "ecsTaskArn": "an original", "ecsClusterArn": ""}).body["assignment"]
        api.store.conclude(other["id"], {"status": "SUCCEEDED", "resultPayload": {}})
        eventually(lambda: lines(node, "result.withheld"), within_s=20)
        assert [line["code"] for line in lines(node, "job.unwanted")] == ["ERR-RFG-011"]
        (tmp_path / "go").touch()
        become(rival, "SUCCEEDED")
    assert (job.status, len(job.results())) == ("SUCCEEDED", 1)


def test_a_success_is_told_although_the_job_was_timed_out_and_a_failure_is_not(api: StandIn, tmp_path: Path) -> None:
    command = SLOW["cmd"] + "; [ $JOB_ITEM_JOB_ID = 1 ]"  # type: ignore[operator]  # it is a text
    good = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, {**SLOW, "cmd": command}) as node:
        eventually((tmp_path / "started").exists)
        api.store.time_out()
        (tmp_path / "go").touch()
        become(good, "SUCCEEDED")
        (tmp_path / "go").unlink()
        (tmp_path / "started").unlink()
        bad = api.store.create("TEST", {"id": 2})
        eventually((tmp_path / "started").exists)
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


def test_an_entry_that_cannot_be_read_is_left_alone(api: StandIn, tmp_path: Path) -> None:
    odd, job = api.store.create("TEST", "no object"), api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        become(job, "SUCCEEDED")
        assert lines(node, "poll.unread")[0]["code"] == "ERR-RFG-013"
    assert odd.status == "PENDING"


def test_a_result_that_is_refused_for_good_is_told_to_the_log(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists)
        api.store.forget(job.assignments[0].id)
        (tmp_path / "go").touch()
        eventually(lambda: [line["code"] for line in lines(node, "result.refused")] == ["ERR-RFG-010"])


def test_of_claims_by_others_the_lowest_wins(api: StandIn, tmp_path: Path) -> None:
    api.store.claim_window_s = 0.5
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        eventually(lambda: api.faults.seen["assign"])
        window_s, api.store.claim_window_s = api.store.claim_window_s, 0.0
        api.store.assign({"jobId": job.id, "ecsTaskArn": "an original", "ecsClusterArn": ""})
        eventually(lambda: lines(node, "claim.yielded"), within_s=20)
        assert (lines(node, "claim.yielded")[0]["code"], window_s) == ("ERR-RFG-008", 0.5)
    assert (len(job.assignments), job.results()) == (2, [])


# the end of a node


def test_a_node_without_jobs_ends_by_itself_with_0(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, environ={"IDLE_TIMEOUT_MS": "1500"}) as node:
        become(job, "SUCCEEDED")
        assert node.process is not None
        assert node.process.wait(20) == 0
        assert lines(node, "node.done")[0]["reason"] == "there was no job for 1.5 s"


def test_a_node_that_works_is_not_idle(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, {"event": "TEST", "cmd": "sleep 2.5"}, environ={"IDLE_TIMEOUT_MS": "1000"}) as node:
        become(job, "SUCCEEDED")
        assert node.process is not None
        assert node.process.wait(20) == 0


def test_a_node_that_stops_lets_its_jobs_end_and_tells_it(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists)
        assert node.process is not None
        node.process.terminate()
        eventually(lambda: lines(node, "node.draining"))
        (tmp_path / "go").touch()
        assert node.process.wait(20) == 0
    assert job.status == "SUCCEEDED"


def test_what_does_not_end_in_time_is_told_as_failed_before_the_node_ends(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW, drain_grace="200ms") as node:
        eventually((tmp_path / "started").exists)
        assert node.stop() == 0
    assert (job.status, results(job)) == ("FAILED", [None])


def test_a_claim_that_is_on_its_way_when_the_node_stops_is_told_as_failed(api: StandIn, tmp_path: Path) -> None:
    api.store.claim_window_s = 1.0
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        eventually(lambda: api.faults.seen["assign"])
        assert node.stop() == 0
    assert (job.status, results(job)) == ("FAILED", [None])


def test_settings_that_change_take_no_job_from_anybody(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists)
        node.configure(settings(TEST_JOB, reefguide={"settle": "60ms"}))
        eventually(lambda: lines(node, "settings.applied"), within_s=20)
        (tmp_path / "go").touch()
        become(job, "SUCCEEDED")
        after = api.store.create("TEST", {"id": 2})
        become(after, "SUCCEEDED")
    assert job.history == ["PENDING", "IN_PROGRESS", "SUCCEEDED"]


# surroundings


@contextmanager
def serving(status: int, document: object) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers everything alike; gives its address and the bodies that came."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_in_ecs_a_claim_bears_the_arn_of_the_task(api: StandIn, tmp_path: Path) -> None:
    metadata = {"TaskARN": "arn:aws:ecs:x:1:task/c/1", "Cluster": "c", "Family": "f", "Revision": "7"}
    job = api.store.create("TEST", {"id": 1})
    with serving(200, metadata) as (url, _), polling(tmp_path, api, environ={"ECS_CONTAINER_METADATA_URI_V4": url}):
        become(job, "SUCCEEDED")
    assert (job.assignments[0].task, job.assignments[0].cluster) == ("arn:aws:ecs:x:1:task/c/1", "c")


def test_without_metadata_the_names_of_claims_are_made_up_and_all_differ(api: StandIn, tmp_path: Path) -> None:
    jobs = [api.store.create("TEST", {"id": number}) for number in range(2)]
    with (
        serving(404, {}) as (url, _),
        polling(tmp_path, api, environ={"ECS_CONTAINER_METADATA_URI_V4": url}) as node,
    ):
        for job in jobs:
            become(job, "SUCCEEDED")
        assert lines(node, "ecs.unknown")[0]["code"] == "ERR-RFG-014"
    assert len({job.assignments[0].task for job in jobs}) == 2
    assert {job.assignments[0].cluster for job in jobs} == {"Unknown - metadata lookup failure"}


def test_a_failed_job_is_told_to_sentry(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with serving(200, {}) as (url, bodies):
        dsn = url.replace("http://", "http://key@") + "/1"
        with polling(tmp_path, api, {"event": "TEST", "cmd": "exit 3"}, environ={"SENTRY_DSN": dsn}) as node:
            become(job, "FAILED")
            told = eventually(lambda: [text for text in map(plain, bodies) if "of type TEST failed" in text])
            assert "ERR-RUN-001" in told[0]
            assert "key@" not in node.log.read_text()


def plain(body: bytes) -> str:
    """What the library sends, which may be packed."""
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


def test_a_dsn_that_is_none_costs_no_job(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, environ={"SENTRY_DSN": "nonsense"}) as node:
        become(job, "SUCCEEDED")
        assert lines(node, "sentry.off")[0]["code"] == "ERR-RFG-015"


def test_a_node_whose_types_nobody_serves_does_not_start(api: StandIn, tmp_path: Path) -> None:
    node = Node(tmp_path, settings(), variables(api, JOB_TYPES="TEST,ADRIA_MODEL_RUN"))
    node.start(ready=False)
    assert node.process is not None
    assert node.process.wait(30) == 78
    assert "ERR-RFG-002" in node.log.read_text()
    assert api.faults.seen.total() == 0


# how it goes


def test_the_node_says_how_it_stands_with_the_api(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        become(job, "SUCCEEDED")
        eventually(lambda: node.health()["reefguide"]["connected"], within_s=20)
        api.store.accounts.users[0].roles.clear()
        eventually(lambda: misses_role(node), within_s=20, what="the role is missed")
        shown = subprocess.run(
            [sys.executable, "-m", "supervisor", "status", "--config", tmp_path / "config.yaml"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables(api)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "job api" in shown.stdout
        assert "ERR-RFG-006" in shown.stdout


def misses_role(node: Node) -> bool:
    state = node.health()["reefguide"]
    return bool(state["code"] == "ERR-RFG-006" and not state["connected"] and state["reason"])
