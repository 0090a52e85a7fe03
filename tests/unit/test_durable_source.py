"""Jobs on loan: borrowed when a slot is free, kept alive, acknowledged with their result, left when they are lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from job_item.job import Status
from tests.borrowing import LEASE_S, SUBJECT, post, spec
from tests.clocks import pass_time
from tests.journals import in_loop
from worker.journal import Claim, Journal, LastWords, Settlement
from worker.recovery import Rules


@in_loop
async def test_a_job_is_acknowledged_with_its_result_and_then_told(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1", {"b": 1})
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        assert at.leases.has("T1")
        assert at.made.journal.body("T1") == b'{"b":1}'
        await at.made.play("T1")
        await at.made.until_status("T1", Status.FINISH)
        await at.made.until(lambda: at.is_empty)
        assert at.made.journal.unsaid() == []


@in_loop
async def test_no_more_is_borrowed_than_there_are_slots(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:  # two slots
        for number in range(6):
            await at.put(f"T{number}")
        await at.made.until(lambda: len(at.made.stage.running()) == 2)
        await pass_time(LEASE_S * 2)  # they are kept alive for longer than a lease
        assert len(at.store.waiting[SUBJECT]) == 4
        for number in range(6):
            await at.made.play(f"T{number}")
        await at.made.until(lambda: at.is_empty)
        assert sorted(at.made.stage.started) == [f"T{number}" for number in range(6)]


@in_loop
async def test_a_job_that_is_asked_for_again_is_not_run_again(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.store.known.clear()
        await at.put("T1")
        await at.made.until(lambda: not at.store.waiting[SUBJECT])
        await at.made.play("T1")
        await at.made.until_status("T1", Status.FINISH)
        at.store.known.clear()
        await at.put("T1")
        await at.made.until(lambda: at.is_empty)
        assert at.made.stage.started == ["T1"]


@in_loop
async def test_a_job_that_a_server_lends_again_while_it_runs_stays_on_loan_until_its_end(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1")
        (item,) = at.store.waiting[SUBJECT]
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        first = item.holder
        at.store.lay(item)  # as a server that was killed and has forgotten that it had given this out
        await at.made.until(lambda: item.holder > first)
        await pass_time(LEASE_S * 2)
        assert item.holder, "it is renewed, and nobody has acknowledged it"
        at.made.stage.finish("T1")
        await at.made.until(lambda: at.is_empty and at.made.journal.unsaid() == [])
        assert [attempt.status for attempt in at.made.record("T1").attempts] == [Status.FINISH]
        assert not item.holder


@in_loop
async def test_a_job_that_comes_too_late_is_left_to_its_next_loan_and_the_queue_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with post(tmp_path, spec()) as at:
        slot = at.made.dispatcher.slot
        is_asked, is_late = asyncio.Event(), asyncio.Event()

        async def no_slot(event: str, within_s: float) -> bool:
            at.made.dispatcher.slot = slot  # type: ignore[method-assign]
            is_asked.set()
            await is_late.wait()
            return False

        at.made.dispatcher.slot = no_slot  # type: ignore[method-assign]  # another has taken it meanwhile
        await at.put("T1")
        (item,) = at.store.waiting[SUBJECT]
        await is_asked.wait()
        await pass_time(LEASE_S)
        await at.made.until(lambda: not item.holder)
        is_late.set()
        await at.made.play("T1")
        await at.made.until(lambda: at.is_empty)
        said = capfd.readouterr().err
        assert "job.come_too_late" in said
        assert "queue.refused" not in said


@in_loop
async def test_the_same_job_lent_twice_at_once_runs_once_and_another_with_its_id_is_refused(tmp_path: Path) -> None:
    async with post(tmp_path, spec(), slots=3) as at:
        for number in (1, 1, 2):  # all lie there before the queue is asked
            at.store.known.clear()
            await at.put("T1", {"n": number})
        await at.made.until(lambda: bool(at.store.fallen))
        await at.made.until(lambda: not at.store.waiting[SUBJECT])
        assert at.leases.has("T1")
        await at.made.play("T1")
        await at.made.until_status("T1", Status.FINISH)
        await at.made.until(lambda: at.is_empty)
        assert at.made.stage.started == ["T1"]
        assert at.made.journal.body("T1") == b'{"n":1}'
        assert [letter.error_code for letter in await at.dead.list(10)] == ["ERR-JOB-009"]


@in_loop
async def test_a_job_whose_lease_is_over_is_killed_left_and_run_again_when_it_comes_back(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.hub.stop()
        await pass_time(LEASE_S)
        await at.made.until_status("T1", Status.LEFT)
        assert at.said("T1") == []
        at.hub.is_open = True
        await at.made.until(lambda: at.made.stage.started == ["T1", "T1"])
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)
        first, second = at.made.record("T1").attempts
        assert (first.error_code, first.attempt, second.attempt) == ("ERR-DLV-001", 1, 2)
        assert first.fence < second.fence
        await at.made.until(lambda: at.said("T1") == [])


@in_loop
async def test_a_job_that_is_lost_while_its_failure_is_written_down_is_left_and_runs_when_it_comes_back(
    tmp_path: Path,
) -> None:
    async with post(tmp_path, spec(retries={"attempts": 5, "backoff": 3600, "backoff_max": 3600})) as at:
        settle = at.made.journal.settle
        is_asked, is_lost = asyncio.Event(), asyncio.Event()

        async def settle_late(settlement: Settlement, words: LastWords | None = None) -> Status | None:
            is_asked.set()
            await is_lost.wait()
            return await settle(settlement, words)

        at.made.journal.settle = settle_late  # type: ignore[method-assign]  # the moment is what counts here
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.made.stage.finish("T1", 3)
        await is_asked.wait()
        at.hub.stop()
        await pass_time(LEASE_S)
        await at.made.until(lambda: at.leases.is_lost("T1"))
        at.hub.is_open = True
        is_lost.set()
        await at.made.until(lambda: at.made.stage.started == ["T1", "T1"])
        at.made.journal.settle = settle  # type: ignore[method-assign]
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)


@in_loop
async def test_a_job_that_is_lost_in_the_moment_in_which_it_gets_a_slot_is_left(
    tmp_path: Path,
) -> None:
    async with post(tmp_path, spec(retries={"attempts": 5, "backoff": LEASE_S * 3, "backoff_max": LEASE_S * 3})) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        leave, claim = at.made.journal.leave, at.made.journal.claim
        is_asked, is_left = asyncio.Event(), asyncio.Event()

        async def leave_late(task_id: str, at: float) -> bool:
            was_waiting = await leave(task_id, at)
            await is_asked.wait()
            asyncio.get_running_loop().call_soon(is_left.set)
            return was_waiting

        def claim_later(task_id: str, started_at: float) -> asyncio.Future[Claim | None]:
            async def wait() -> Claim | None:
                await is_left.wait()
                return await claim(task_id, started_at)

            is_asked.set()
            return asyncio.ensure_future(wait())

        at.made.journal.leave = leave_late  # type: ignore[method-assign]  # the moment is what counts here
        at.made.journal.claim = claim_later  # type: ignore[method-assign]
        at.made.stage.finish("T1", 3)
        await at.made.until_status("T1", Status.QUEUED)
        at.hub.stop()
        await pass_time(LEASE_S)
        await pass_time(LEASE_S * 3)
        await is_left.wait()
        at.hub.is_open = True
        await at.made.until(lambda: at.made.stage.started == ["T1", "T1"])
        at.made.stage.finish("T1")
        await at.made.until_status("T1", Status.FINISH)


@in_loop
async def test_a_job_that_was_lost_too_often_is_a_dead_letter_and_can_be_tried_again(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1")
        at.store.waiting[SUBJECT][0].lent = 2  # nobody has had a turn to borrow it yet
        await at.made.until(lambda: at.made.journal.record("T1") is not None)
        await at.made.until_status("T1", Status.ERROR)
        assert at.made.record("T1").error_code == "ERR-DLV-004"
        assert at.made.record("T1").is_dead
        assert at.made.stage.started == []
        await at.made.until(lambda: [kind for kind, _ in at.said("T1")] == ["failed", "finish"])
        (letter,) = await at.dead.list(10)
        assert (letter.task_id, letter.event, letter.error_code, letter.node) == ("T1", "render", "ERR-DLV-004", "me")
        assert await at.dead.retry("T1")
        assert await at.dead.list(10) == []
        await at.made.play("T1")
        await at.made.until_status("T1", Status.FINISH)
        assert not await at.dead.retry("T1")


@in_loop
async def test_a_job_waits_for_its_next_attempt_on_loan_and_ends_dead_after_the_last(tmp_path: Path) -> None:
    retries = {"attempts": 2, "backoff": LEASE_S * 1.5, "backoff_max": LEASE_S * 2}
    async with post(tmp_path, spec(retries=retries)) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        at.made.stage.finish("T1", 3)
        await at.made.until_status("T1", Status.QUEUED)
        assert at.leases.has("T1")
        await pass_time(LEASE_S * 2)
        await at.made.until(lambda: len(at.made.stage.started) == 2)
        at.made.stage.finish("T1", 4)
        await at.made.until_status("T1", Status.ERROR)
        await at.made.until(lambda: at.is_empty)
        assert [attempt.exit_code for attempt in at.made.record("T1").attempts] == [3, 4]
        (letter,) = await at.dead.list(10)
        assert (letter.attempts, letter.error_code) == (2, "ERR-RUN-001")
        assert await at.dead.drop("T1")
        assert await at.dead.list(10) == []


@in_loop
async def test_what_cannot_be_used_is_answered_where_that_is_safe_and_is_a_dead_letter(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.queues.put(SUBJECT, "a", b"nonsense")
        await at.queues.put(SUBJECT, "b", b'{"task_id":"T1","data":3}')
        await at.made.until(lambda: at.source.refused == 2)
        await at.made.until(lambda: len(at.store.fallen) == 2)
        assert [kind for kind, _ in at.said("T1")] == ["failed", "finish"]
        letters = await at.dead.list(10)
        assert len(letters) == 2
        assert not await at.dead.retry(letters[0].task_id)
        for letter in letters:
            await at.dead.drop(letter.task_id)
        assert await at.dead.list(10) == []


@in_loop
async def test_at_the_end_what_runs_and_what_rests_is_given_back_and_counts_as_no_attempt(tmp_path: Path) -> None:
    async with post(tmp_path, spec(retries={"attempts": 5, "backoff": 60})) as at:
        await at.put("rests")
        await at.made.until(lambda: at.made.stage.running() == ["rests"])
        at.made.stage.finish("rests", 1)
        await at.made.until_status("rests", Status.QUEUED)
        await at.put("runs")
        await at.made.until(lambda: at.made.stage.running() == ["runs"])
        await at.source.drain()
        at.made.dispatcher.close()
        for task_id, _ in at.leases.held:
            at.leases.leave(task_id)
        at.made.dispatcher.stop_all("terminate")
        await at.made.dispatcher.idle()
        await at.leases.stop(60.0)
        left = {item.body: (item.runs, item.lent) for item in at.store.waiting[SUBJECT]}
        assert left == {
            b'{"task_id": "rests", "data": null}': (1, 0),
            b'{"task_id": "runs", "data": null}': (0, 0),
        }
        assert {at.made.record(name).status for name in ("rests", "runs")} == {Status.LEFT}


@in_loop
async def test_a_successor_leaves_all_jobs_on_loan_to_the_broker(tmp_path: Path) -> None:
    async with post(tmp_path, spec()) as at:
        await at.put("T1")
        await at.made.until(lambda: at.made.stage.running() == ["T1"])
        other = Journal.open(
            tmp_path / "journal.sqlite", incarnation="second", loop=asyncio.get_running_loop(), on_fatal=print
        )
        (recovered,) = await other.recover({"render": Rules("rerun", 5)}, 1.0)
        assert recovered.status is Status.LEFT
        await other.close()
