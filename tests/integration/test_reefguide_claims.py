"""Claims of the ReefGuide API: lost answers, others who claim, jobs that are not to be had."""

from __future__ import annotations

from pathlib import Path

from examples.reefguide.api import StandIn
from examples.reefguide.api.answers import domain
from examples.reefguide.api.store import Job
from tests.conftest import eventually
from tests.reefguide.nodes import Held, become, lines, polling


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


def test_a_job_that_two_nodes_were_granted_is_run_by_one(api: StandIn, tmp_path: Path) -> None:
    api.store.claim_window_s = 0.6  # both look before either claims
    job = api.store.create("TEST", {"id": 1})
    quick = {"settle": "1s"}
    with polling(tmp_path / "a", api, reefguide=quick), polling(tmp_path / "b", api, reefguide=quick):
        rival = api.store.create("TEST", {"id": 2})
        for each in (job, rival):
            become(each, "SUCCEEDED", within_s=90)
        api.store.claim_window_s = 0.0
    assert [len(each.results()) for each in (job, rival)] == [1, 1]


def test_of_claims_by_others_the_lowest_wins(api: StandIn, tmp_path: Path) -> None:
    held = Held(api)
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        assert held.looked.wait(60)
        api.store.on_look = lambda _: None
        api.store.assign({"jobId": job.id, "ecsTaskArn": "an original", "ecsClusterArn": ""})
        held.goes_on.set()
        eventually(lambda: lines(node, "claim.yielded"), within_s=40)
        assert lines(node, "claim.yielded")[0]["code"] == "ERR-RFG-008"
    assert (len(job.assignments), job.results()) == (2, [])


def test_jobs_that_are_never_to_be_had_are_asked_for_once_and_keep_no_node_from_ending(
    api: StandIn, tmp_path: Path
) -> None:
    def refuse(_: Job) -> None:
        raise domain(400, "Job is not available for assignment")

    api.store.on_look = refuse
    for number in range(2):
        api.store.create("TEST", {"id": number})
    with polling(tmp_path, api, environ={"IDLE_TIMEOUT_MS": "12000"}) as node:
        assert node.process is not None
        assert node.process.wait(60) == 0
    assert api.faults.seen["assign"] == 2
    assert api.store.statuses() == {"PENDING": 2}


def test_a_claim_that_nobody_can_look_for_keeps_no_node_from_stopping(api: StandIn, tmp_path: Path) -> None:
    api.faults.add("job", "drop", times=1_000_000)
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        eventually(lambda: api.faults.seen["job"], within_s=40)
        node.destroy()
        asked = api.faults.seen["job"]
        node.start()
        eventually(lambda: api.faults.seen["job"] > asked, within_s=40)
        assert node.stop() == 0
        node.start()
        api.faults.clear()
        become(job, "SUCCEEDED", within_s=90)
    assert (len(job.assignments), len(job.results())) == (1, 1)


def test_an_entry_that_cannot_be_read_is_left_alone(api: StandIn, tmp_path: Path) -> None:
    odd, job = api.store.create("TEST", "no object"), api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        become(job, "SUCCEEDED")
        assert lines(node, "poll.unread")[0]["code"] == "ERR-RFG-013"
    assert odd.status == "PENDING"
