"""The end of a node that polls: idle, or asked to stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from examples.reefguide.api import StandIn
from tests.conftest import eventually
from tests.nodes import running
from tests.reefguide.nodes import SLOW, Held, become, lines, polling, results, settings, variables

SLOW_TO_END_JOBS = """
import asyncio, sys
from supervisor.entry import main
from worker.reefguide.watch import Watch
end_job = Watch.end_job
async def late(*what):
    await asyncio.sleep(1)  # as on a disk that has much to do
    await end_job(*what)
Watch.end_job = late
sys.exit(main())
"""


def test_a_node_without_jobs_ends_by_itself_with_0_and_one_that_works_does_not(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, {"event": "TEST", "cmd": "sleep 13"}, environ={"IDLE_TIMEOUT_MS": "12000"}) as node:
        become(job, "SUCCEEDED")
        assert node.process is not None
        assert node.process.wait(60) == 0
        assert lines(node, "node.done")[0]["reason"] == "there was no job for 12 s"


def test_a_node_does_not_end_before_the_api_has_its_results(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW, environ={"IDLE_TIMEOUT_MS": "12000"}) as node:
        eventually((tmp_path / "started").exists, within_s=40)
        api.faults.add("result", "error", times=1_000_000)
        (tmp_path / "go").touch()
        eventually(lambda: api.faults.seen["result"] >= 3, within_s=60, what="it is posted again and again")
        first_s = time.monotonic()
        eventually(lambda: time.monotonic() - first_s > 14, within_s=60, what="the time is over")
        api.faults.clear()
        become(job, "SUCCEEDED")
        assert node.process is not None
        assert node.process.wait(60) == 0


def test_a_job_that_nothing_serves_any_more_keeps_no_node_from_ending(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    other = {"event": "other", "cmd": "true"}
    with polling(tmp_path, api, SLOW, other, environ={"IDLE_TIMEOUT_MS": "12000"}, limits={"concurrency": 1}) as node:
        eventually((tmp_path / "started").exists, within_s=40)
        node.submit("other")
        node.destroy()
        (tmp_path / "go").touch()
        node.configure(settings(SLOW))
        node.start()
        become(job, "SUCCEEDED")
        assert node.process is not None
        assert node.process.wait(60) == 0
        assert lines(node, "queue.stranded")[0]["job_event"] == "other"


def test_a_node_that_stops_lets_its_jobs_end_and_tells_it(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW) as node:
        eventually((tmp_path / "started").exists, within_s=60)
        assert node.process is not None
        node.process.terminate()
        eventually(lambda: lines(node, "node.draining"))
        (tmp_path / "go").touch()
        assert node.process.wait(60) == 0
    assert job.status == "SUCCEEDED"


def test_what_does_not_end_in_time_is_told_as_failed_before_the_node_ends(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, SLOW, drain_grace="200ms") as node:
        eventually((tmp_path / "started").exists, within_s=60)
        assert node.stop() == 0
    assert (job.status, results(job)) == ("FAILED", [None])


def test_a_claim_that_is_on_its_way_when_the_node_stops_is_told_as_failed(api: StandIn, tmp_path: Path) -> None:
    held = Held(api)
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        assert held.looked.wait(60)
        assert node.process is not None
        node.process.terminate()
        # The log tells of it before the job child, which asks for the job, has heard of it.
        eventually(lambda: "the node is stopping" in node.get("/readyz")[1]["reasons"], within_s=40)
        held.goes_on.set()
        assert node.process.wait(40) == 0
    assert (job.status, results(job)) == ("FAILED", [None])


def test_it_is_told_too_where_the_journal_takes_its_time(api: StandIn, tmp_path: Path) -> None:
    held = Held(api)
    job = api.store.create("TEST", {"id": 1})
    command = (sys.executable, "-c", SLOW_TO_END_JOBS, "child_process")
    with running(tmp_path, settings(), variables(api), command) as node:
        assert held.looked.wait(60)
        assert node.process is not None
        node.process.terminate()
        eventually(lambda: "the node is stopping" in node.get("/readyz")[1]["reasons"], within_s=40)
        held.goes_on.set()
        assert node.process.wait(40) == 0
    assert (job.status, results(job)) == ("FAILED", [None])
