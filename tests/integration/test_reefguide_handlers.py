"""Typed handlers serve job types of the ReefGuide API: their context, their result, their files in a real S3 server."""

from __future__ import annotations

import json
import socket
from functools import partial
from pathlib import Path
from typing import Any

from examples.reefguide.api import StandIn
from examples.reefguide.api.store import Job
from tests.conftest import eventually
from tests.reefguide.nodes import polling
from tests.s3 import S3, moto

HANDLERS = """
import json
from pydantic import BaseModel
from job_item import HandlerContext, handler


class Region(BaseModel):
    region: str


class Drawn(BaseModel):
    cog_path: str


@handler("REGIONAL_ASSESSMENT")
def draw(given: Region, context: HandlerContext) -> Drawn:
    print('{"cog_path": "printed, and not the result"}')
    picture = context.temp_dir / "picture.tiff"
    picture.write_text(given.region)
    stored = context.storage.upload(picture)
    seen = context.api.get(f"/api/jobs/{context.job_id}")
    facts = {
        "assignment_id": context.assignment_id,
        "data_path": context.data_path,
        "remaining_s": context.remaining_s,
        "status": seen["job"]["status"],
        "type": context.type,
    }
    context.storage.write("facts.json", json.dumps(facts).encode())
    return Drawn(cog_path=stored.name)
"""


def test_a_handler_stores_its_file_and_its_typed_output_is_the_result(api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node/areas.py").write_text(HANDLERS)
    with moto(tmp_path) as server:
        api.store.bucket = server.bucket
        job = api.store.create("REGIONAL_ASSESSMENT", {"region": "Far North"})
        environ = {**server.variables, "JOB_TYPES": "REGIONAL_ASSESSMENT", "DATA_PATH": "/data"}
        with polling(tmp_path / "node", api, environ=environ, handlers=["areas.py"]) as node:
            eventually(lambda: job.status == "SUCCEEDED", within_s=60, what="SUCCEEDED")
            (record,) = node.get("/jobs")[1]["jobs"]
            assert b"printed" in node.output(record["task_id"])
        (assignment,) = job.assignments
        folder = assignment.storage_uri.split("/", 3)[3]
        picture = server.fetch(f"{folder}/picture.tiff")
        assert (picture["Body"].read(), picture["ContentType"]) == (b"Far North", "image/tiff")
        facts = json.loads(server.fetch(f"{folder}/facts.json")["Body"].read())
    assert [result.payload for result in job.results()] == [{"cog_path": "picture.tiff"}]
    assert facts.pop("remaining_s") > 0
    assert facts == {
        "assignment_id": str(assignment.id),
        "data_path": "/data",
        "status": "IN_PROGRESS",
        "type": "REGIONAL_ASSESSMENT",
    }


def test_a_handler_that_fails_is_told_as_failed_with_null(api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "areas.py").write_text(HANDLERS)
    job = api.store.create("REGIONAL_ASSESSMENT", {"no": "region"})
    environ = {"JOB_TYPES": "REGIONAL_ASSESSMENT"}
    with polling(tmp_path, api, environ=environ, handlers=["areas.py"]) as node:
        eventually(lambda: job.status == "FAILED", within_s=60, what="FAILED")
        (record,) = node.get("/jobs")[1]["jobs"]
        assert record["error"]["code"] == "ERR-HND-010"
    assert [result.payload for result in job.results()] == [None]


def test_the_reason_of_a_failure_lies_beside_the_files_of_its_job(api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    with moto(tmp_path) as server:
        api.store.bucket = server.bucket
        failing = api.store.create("TEST", {"id": 1})
        unfit = api.store.create("REGIONAL_ASSESSMENT", {"region": "x", "reef_type": "slopes"})
        jobs = [
            {"event": "TEST", "cmd": "echo it is; echo a pass-word >&2; exit 3"},
            {"event": "REGIONAL_ASSESSMENT", "cmd": "echo '{}'"},
        ]
        environ = {**server.variables, "JOB_TYPES": "TEST,REGIONAL_ASSESSMENT"}
        with polling(tmp_path / "node", api, *jobs, environ=environ):
            eventually(lambda: failing.status == unfit.status == "FAILED", within_s=60, what="FAILED")
            told = [
                eventually(partial(text_beside, server, job), within_s=60, what="the text") for job in (failing, unfit)
            ]
    assert "ERR-RUN-001" in told[0] and "it is" in told[0]
    assert "a pass-word" not in told[0]
    assert "ERR-RFG-009: the result does not fit REGIONAL_ASSESSMENT: cog_path" in told[1]


def text_beside(server: S3, job: Job) -> str:
    """What was left beside the files of a job; nothing where it is not there yet."""
    folder = job.assignments[0].storage_uri.split("/", 3)[3]
    try:
        return str(server.fetch(f"{folder}/failure.txt")["Body"].read().decode())
    except server.client().exceptions.NoSuchKey:
        return ""


def test_a_storage_that_hangs_keeps_no_failure_from_being_told(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables = S3(f"http://127.0.0.1:{silent.getsockname()[1]}").variables
        with polling(tmp_path, api, {"event": "TEST", "cmd": "exit 3"}, environ=variables) as node:
            eventually(lambda: job.status == "FAILED", within_s=60, what="FAILED")
            eventually(lambda: "reason.unkept" in node.log.read_text(), within_s=60, what="it is told")
            eventually(lambda: node.health()["reefguide"]["unposted"] == 0, within_s=60, what="all is posted")


PATIENT = """
import time
from pathlib import Path
from typing import Any
from job_item import HandlerContext, handler


@handler("TEST")
def look_twice(given: dict, context: HandlerContext) -> None:
    context.api.get(f"/api/jobs/{context.job_id}")
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.02)
    print("status", context.api.get(f"/api/jobs/{context.job_id}")["job"]["status"])
"""


def test_a_handler_calls_the_api_also_when_its_first_token_is_over(api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    job = api.store.create("TEST", {"id": 1})
    # Nobody but the handler asks meanwhile: the one slot is taken, and the job is not looked at.
    settings: dict[str, Any] = {"handlers": ["patient.py"], "reefguide": {"watch_interval": "1h"}}
    with polling(tmp_path, api, {"event": "TEST", "handler": "TEST"}, **settings) as node:
        eventually((tmp_path / "begun").exists, within_s=60, what="it has begun")
        api.store.accounts.revoke_all()
        (tmp_path / "go").touch()
        eventually(lambda: job.status == "SUCCEEDED", within_s=60, what="SUCCEEDED")
        (record,) = node.get("/jobs")[1]["jobs"]
        assert b"status IN_PROGRESS" in node.output(record["task_id"])
    assert api.faults.seen["login"] == 1
