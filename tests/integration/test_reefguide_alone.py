"""A node started with nothing but the variables of the specification: no configuration file, handlers for the types."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.reefguide.api import StandIn
from tests.conftest import ROOT, eventually
from tests.nodes import is_alive, tree_of
from tests.reefguide.nodes import variables

HANDLERS = """
from pydantic import BaseModel, ConfigDict

from job_item import HandlerContext, handler


class Area(BaseModel):
    model_config = ConfigDict(extra="allow")
    region: str


class Cog(BaseModel):
    cog_path: str


@handler("REGIONAL_ASSESSMENT")
def assess(area: Area, context: HandlerContext) -> Cog:
    print("working for", area.region)
    names = (context.storage_uri, context.job_id, context.assignment_id, context.data_path, context.aws_region)
    left_s = context.remaining_s
    assert left_s is not None and 3000 < left_s <= 3600
    return Cog(cog_path="|".join(map(str, names)))
"""


@contextmanager
def started(folder: Path, environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a container starts it, in a folder without a configuration."""
    with (folder / "node.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                below = tree_of(process.pid)
                process.kill()
                process.wait()
                eventually(lambda: not any(map(is_alive, below)), within_s=60, what="all of it is gone")


def test_the_variables_alone_serve_test_jobs(api: StandIn, tmp_path: Path) -> None:
    environ = variables(api, CONFIG_PATH="/data/reefguide/config.toml", IDLE_TIMEOUT_MS="10000")
    job = api.store.create("TEST", {"id": 1})
    with started(tmp_path, environ) as node:
        eventually(lambda: job.status == "SUCCEEDED", within_s=90, what="the job succeeds")
        assert node.wait(60) == 0
    log = (tmp_path / "node.log").read_text()
    assert "ERR-RFG-003" in log
    assert [result.payload for result in job.results()] == [{}]


def test_a_typed_handler_knows_its_assignment_and_returns_the_result(api: StandIn, tmp_path: Path) -> None:
    (tmp_path / "regions.py").write_text(HANDLERS)
    environ = variables(api, JOB_TYPES="REGIONAL_ASSESSMENT", JOB_ITEM_HANDLERS="regions.py", DATA_PATH="/data")
    job = api.store.create("REGIONAL_ASSESSMENT", {"region": "Far North", "reef_type": "slopes"})
    with started(tmp_path, environ) as node:
        eventually(lambda: job.status == "SUCCEEDED", within_s=90, what="the job succeeds")
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 0
    (assignment,) = job.assignments
    names = f"{assignment.storage_uri}|{job.id}|{assignment.id}|/data|ap-southeast-2"
    assert [result.payload for result in job.results()] == [{"cog_path": names}]


def test_types_that_no_handler_serves_are_told_before_anything_is_asked_for(api: StandIn, tmp_path: Path) -> None:
    with started(tmp_path, variables(api, JOB_TYPES="TEST,ADRIA_MODEL_RUN"), "--dry-run") as node:
        assert node.wait(60) == 78
    log = (tmp_path / "node.log").read_text()
    assert "ERR-RFG-002" in log
    assert "ERR-HND-004" not in log
    assert api.faults.seen.total() == 0
