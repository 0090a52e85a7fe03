"""Jobs of the ReefGuide API, run by commands: what they are told, what is posted, how many at once."""

from __future__ import annotations

from pathlib import Path

from examples.reefguide.api import StandIn
from tests.conftest import eventually
from tests.nodes import Node
from tests.reefguide.nodes import SLOW, TEST_JOB, become, lines, polling, results, settings, variables


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


def test_settings_that_change_take_no_job_from_anybody(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        node.configure(settings(TEST_JOB, reefguide={"settle": "60ms"}))
        eventually(lambda: lines(node, "settings.applied"), within_s=60)
        (tmp_path / "go").touch()
        become(job, "SUCCEEDED")
        after = api.store.create("TEST", {"id": 2})
        become(after, "SUCCEEDED")
    assert job.history == ["PENDING", "IN_PROGRESS", "SUCCEEDED"]


def test_a_node_whose_types_nobody_serves_does_not_start(api: StandIn, tmp_path: Path) -> None:
    node = Node(tmp_path, settings(), variables(api, JOB_TYPES="TEST,ADRIA_MODEL_RUN"))
    node.start(ready=False)
    assert node.process is not None
    assert node.process.wait(60) == 78
    assert "ERR-RFG-002" in node.log.read_text()
    assert api.faults.seen.total() == 0
