"""Many nodes at one API that grants a job to whoever asks at the same time; and kills at every write of a grant."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from examples.reefguide.api import StandIn
from examples.reefguide.api.accounts import Accounts
from examples.reefguide.api.answers import domain
from examples.reefguide.api.store import Job, Store
from tests.conftest import eventually
from tests.nodes import Node
from tests.reefguide.nodes import TEST_JOB, settings, variables
from tests.s3 import moto
from worker.faults import VARIABLE, FaultPoints

JOB = {**TEST_JOB, "retries": {"attempts": 50}}
POINTS = [
    name
    for name in dict.fromkeys((*FaultPoints.reef_names, *FaultPoints.all_names))
    if name.split(".")[0] in ("ask", "take", "drop", "claim", "settle")
]
WINDOW_S, SETTLE_S = 0.03, 0.3
QUICK = ("settle.committed",)
"""Of the quick tier: a result has just been written down."""


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_many_nodes_give_every_job_exactly_one_result(tier: str, tmp_path: Path) -> None:
    nodes, jobs = (8, 200) if tier == "night" else (3, 30)
    # The limiter allows five log-ins to all nodes behind an address: that is another test's matter.
    store = Store(Accounts(login_limit=1000))
    store.claim_window_s, store.on_look, store.on_claim = 0.0, _linger, _refuse_late
    with StandIn(store) as api, ExitStack() as stack:
        fleet = []
        for number in range(nodes):
            environ = variables(api, MAX_CONCURRENT_JOBS="4")
            node = Node(
                tmp_path / str(number), settings(JOB, reefguide={"settle": f"{SETTLE_S * 1000:.0f}ms"}), environ
            )
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


def _linger(_: Job) -> None:
    """Let others look at the job too before it is claimed."""
    time.sleep(WINDOW_S)


def _refuse_late(job: Job) -> None:
    """Refuse a claim that a busy machine has made late: all claims of a job are to be made before one has settled.

    The API claims a job again whatever has become of it.
    """
    if any(time.time() - assignment.created_at > SETTLE_S / 2 for assignment in job.assignments):
        raise domain(400, "Job is not available for assignment")


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


UPLOADING = """
import time
from pathlib import Path
from pydantic import BaseModel
from job_item import HandlerContext, handler


class Cog(BaseModel):
    cog_path: str


@handler("REGIONAL_ASSESSMENT")
def assess(given: dict, context: HandlerContext) -> Cog:
    file = context.temp_dir / "large.tiff"
    file.write_bytes(bytes(range(256)) * 90_000)

    def watch(sent: int, size: int) -> None:
        if 0 < sent < size:
            Path("uploading").touch()
            while not Path("go").exists():
                time.sleep(0.02)

    return Cog(cog_path=context.storage.upload(file, watch=watch).name)
"""


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_kill_in_the_middle_of_an_upload_leaves_one_result_and_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node/uploading.py").write_text(UPLOADING)
    with StandIn() as api, moto(tmp_path) as server, ExitStack() as stack:
        api.store.bucket = server.bucket
        job = api.store.create("REGIONAL_ASSESSMENT", {"region": "x", "reef_type": "slopes"})
        environ = variables(api, **{**server.variables, "JOB_TYPES": "REGIONAL_ASSESSMENT"})
        node = Node(tmp_path / "node", settings(handlers=["uploading.py"]), environ)
        stack.callback(node.destroy)
        node.start()
        eventually((tmp_path / "node/uploading").exists, within_s=120, what="a part is through")
        node.destroy()
        assert job.status == "IN_PROGRESS"
        (tmp_path / "node/go").touch()
        node.start()
        eventually(lambda: job.status == "SUCCEEDED", within_s=120, what="SUCCEEDED")
        (assignment,) = job.assignments
        stored = server.fetch(f"{assignment.storage_uri.split('/', 3)[3]}/large.tiff")
        assert stored["Body"].read() == bytes(range(256)) * 90_000
    assert [result.payload for result in job.results()] == [{"cog_path": "large.tiff"}]
