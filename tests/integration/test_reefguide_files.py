"""Row 14 of protocol reefguide.md: 25 files of a job at most, as clients can fetch no more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from examples.reefguide.api import PASSWORD, USER, StandIn
from examples.reefguide.api.store import Job
from job_item.reefcalls import Calls, text_of
from job_item.storage import Storage, open_storage
from tests.conftest import eventually
from tests.reefguide.nodes import become, lines, polling, results
from tests.s3 import REGION, S3

HANDLER = """
from job_item import HandlerContext, handler


@handler("REGIONAL_ASSESSMENT")
def draw(given: dict, context: HandlerContext) -> dict:
    for number in range(int(given["region"])):
        context.storage.write(f"charts/{number}.txt", b"x")
    return {"cog_path": "charts/0.txt"}
"""

COMMAND = """
import os, sys
import boto3
from botocore.config import Config
client = boto3.client(
    "s3", endpoint_url=os.environ["S3_ENDPOINT"], aws_access_key_id=os.environ["MINIO_USERNAME"],
    aws_secret_access_key=os.environ["MINIO_PASSWORD"], config=Config(proxies={}, s3={"addressing_style": "path"}),
)
bucket, _, prefix = os.environ["JOB_ITEM_STORAGE_URI"].removeprefix("s3://").partition("/")
for number in range(int(os.environ["JOB_ITEM_DATA_REGION"])):
    client.put_object(Bucket=bucket, Key=f"{prefix}/{number}.txt", Body=b"x")
print('{"cog_path": "0.txt"}')
"""


def storage_at(server: S3, job: Job) -> Storage:
    """The files of a job, as another client sees them."""
    environ = {"MINIO_USERNAME": server.username, "MINIO_PASSWORD": server.password}
    return open_storage(job.assignments[0].storage_uri, region=REGION, endpoint=server.endpoint, environ=environ)


def fetch(api: StandIn, job: Job) -> tuple[int, Any]:
    """What a client is answered that wants the files."""
    calls = Calls(api.url, 20)
    token = text_of(calls.ask("POST", "/api/auth/login", body={"email": USER, "password": PASSWORD}), "token")
    answer = calls.ask("GET", f"/api/jobs/{job.id}/download", token)
    calls.close()
    return answer.status_code, answer.json()


def told_beside(server: S3, job: Job) -> str:
    """What the node left beside the files of a failed job."""
    key = f"{job.assignments[0].storage_uri.split('/', 3)[3]}/failure.txt"
    return str(server.fetch(key)["Body"].read().decode())


def has_reason(server: S3, job: Job) -> bool:
    return any(stored.name == "failure.txt" for stored in storage_at(server, job).list())


def test_a_handler_stores_25_files_and_the_26th_is_refused(api: StandIn, lenient_s3: S3, tmp_path: Path) -> None:
    (tmp_path / "drawing.py").write_text(HANDLER)
    server = lenient_s3
    api.store.bucket = server.bucket
    most, above = (api.store.create("REGIONAL_ASSESSMENT", {"region": str(number)}) for number in (25, 26))
    environ = {**server.variables, "JOB_TYPES": "REGIONAL_ASSESSMENT"}
    with polling(tmp_path, api, environ=environ, handlers=["drawing.py"]) as node:
        become(most, "SUCCEEDED", within_s=60)
        become(above, "FAILED", within_s=60)
        errors = {record["status"]: record["error"] for record in node.get("/jobs")[1]["jobs"]}
        assert errors["error"]["code"] == "ERR-STG-012"
        eventually(lambda: has_reason(server, above), within_s=60)
        assert "ERR-STG-012: charts/25.txt would be one file too many" in told_beside(server, above)
    api.store.list_files = lambda _: {stored.name: stored.uri for stored in storage_at(server, most).list()}
    status, answer = fetch(api, most)
    assert (results(most), results(above)) == ([{"cog_path": "charts/0.txt"}], [None])
    assert (status, len(answer["files"])) == (200, 25)


def test_a_success_whose_files_nobody_could_fetch_is_told_as_failed(
    api: StandIn, lenient_s3: S3, tmp_path: Path
) -> None:
    (tmp_path / "store.py").write_text(COMMAND)
    job = {"event": "REGIONAL_ASSESSMENT", "cmd": [sys.executable, "store.py"]}
    server = lenient_s3
    api.store.bucket = server.bucket
    most, above = (api.store.create("REGIONAL_ASSESSMENT", {"region": str(number)}) for number in (25, 26))
    environ = {**server.variables, "JOB_TYPES": "REGIONAL_ASSESSMENT"}
    with polling(tmp_path, api, job, environ=environ) as node:
        become(most, "SUCCEEDED", within_s=60)
        become(above, "FAILED", within_s=60)
        assert [line["code"] for line in lines(node, "result.unfetchable")] == ["ERR-STG-012"]
        eventually(lambda: has_reason(server, above), within_s=60)
        assert "ERR-STG-012: it stored more than 25 files" in told_beside(server, above)
    above.turn("SUCCEEDED")  # as a worker would have it that does not count
    api.store.list_files = lambda _: {stored.name: stored.uri for stored in storage_at(server, above).list()}
    assert fetch(api, above) == (400, {"status": 400, "message": "Too many files to download"})
    assert (results(most), results(above)) == ([{"cog_path": "0.txt"}], [None])
