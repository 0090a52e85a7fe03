"""The desk of the embedded queue: what it takes, what it refuses, and what it knows already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from job_item.errors import BadMessage, Unavailable
from job_item.job import Status
from job_item.link import NodeState
from job_item.settings import Settings
from tests.boards import board, standing, start_with
from tests.dispatching import company
from tests.journals import in_loop
from worker.about import About
from worker.closed import ClosedDesk
from worker.desk import Desk, NewJob, Readiness
from worker.local import LocalDesk
from worker.metrics.meter import Meter
from worker.news import News
from worker.share import Shares
from worker.standing import Board, Standing

SETTINGS = Settings.model_validate(
    {"jobs": [{"event": "a", "cmd": "true"}, {"event": "b", "cmd": "true"}], "limits": {"queue": 2}}
)
DATA = {"name": "Ünit", "n": [1, 2.5, None]}


def about(folder: Path) -> About:
    return About(start_with(folder, SETTINGS))


@asynccontextmanager
async def desk_in(folder: Path, shown: Board | None = None) -> AsyncIterator[LocalDesk]:
    """A desk whose jobs wait: no slot is given away."""
    async with company(folder, *SETTINGS.jobs) as made:
        shown = shown or Board(Standing.of(start_with(folder, SETTINGS), {}))
        intake = replace(made.intake, board=shown)
        yield LocalDesk(about(folder), intake, News(), folder, Shares(made.journal), Meter())


@in_loop
async def test_jobs_that_come_at_once_do_not_overfill_the_queue(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        results = await asyncio.gather(*(desk.create(NewJob("a", {})) for _ in range(7)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, Unavailable)]
        assert [error.code for error in refused] == ["ERR-JOB-004"] * 5
        assert desk.counts()[Status.QUEUED] == 2


@in_loop
async def test_a_refused_request_leaves_room_for_the_next(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        for _ in range(3):
            await desk.create(NewJob("a", {}, task_id="T1"))
        assert (await desk.create(NewJob("a", {}, task_id="T2"))).status is Status.QUEUED


@in_loop
async def test_a_known_task_id_gives_its_record_only_for_the_same_job(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        first = await desk.create(NewJob("a", DATA, task_id="T1"))
        assert await desk.create(NewJob("a", dict(reversed(DATA.items())), task_id="T1")) == first
        for other in (NewJob("b", DATA, task_id="T1"), NewJob("a", {**DATA, "n": 0}, task_id="T1")):
            with pytest.raises(BadMessage) as caught:
                await desk.create(other)
            assert caught.value.code == "ERR-JOB-009"


@pytest.mark.parametrize("why", ["full", "draining"])
@in_loop
async def test_a_known_task_is_answered_for_while_new_ones_are_refused(why: str, tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        first = await desk.create(NewJob("a", DATA, task_id="T1"))
        await desk.create(NewJob("a", DATA, task_id="T2"))
        if why == "draining":
            desk.close()
        assert await desk.create(NewJob("a", DATA, task_id="T1")) == first
        with pytest.raises(BadMessage):
            await desk.create(NewJob("b", DATA, task_id="T1"))
        with pytest.raises(Unavailable):
            await desk.create(NewJob("a", DATA, task_id="T3"))


@in_loop
async def test_a_desk_goes_by_what_the_board_shows(tmp_path: Path) -> None:
    shown = board(jobs=[{"event": "a", "cmd": "true"}], limits={"queue": 1})
    async with desk_in(tmp_path, shown) as desk:
        first = await desk.create(NewJob("a", DATA, task_id="T1"))
        with pytest.raises(BadMessage) as unknown:
            await desk.create(NewJob("b", DATA, task_id="T2"))
        assert (unknown.value.code, unknown.value.remedy) == ("ERR-JOB-001", "Use one of: a.")
        shown.standing = standing(jobs=[{"event": "b", "cmd": "true"}], limits={"queue": 2})
        assert (await desk.create(NewJob("b", DATA, task_id="T2"))).status is Status.QUEUED
        with pytest.raises(Unavailable, match=r"full \(2 jobs\)"):
            await desk.create(NewJob("b", DATA, task_id="T3"))
        with pytest.raises(BadMessage):
            await desk.create(NewJob("a", DATA, task_id="T4"))
        assert desk.job("T1") == first


@in_loop
async def test_a_desk_that_retires_takes_jobs_and_says_who_will_run_them(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        desk.retire()
        assert desk.readiness().ready
        assert "new process" in desk.readiness().reasons[0]
        assert (await desk.create(NewJob("a", DATA))).status is Status.QUEUED
        desk.close()
        assert desk.readiness() == Readiness(False, ("the node is stopping",))


@in_loop
async def test_a_desk_without_a_journal_says_who_the_node_is_and_sends_away(tmp_path: Path) -> None:
    known = about(tmp_path)
    closed = ClosedDesk(known)
    desk: Desk = closed
    known.learn(NodeState(11, 12))
    closed.reason = "The disk is full."
    assert desk.health().execs_pid == 12
    assert desk.readiness().reasons == ("The disk is full.",)
    assert set(desk.counts().values()) == {0}
    with pytest.raises(Unavailable, match="full") as caught:
        await desk.create(NewJob("a", {}))
    assert caught.value.code == "ERR-STO-001"
    for ask in (desk.job, desk.log, desk.notes, desk.watch):
        with pytest.raises(Unavailable):
            ask("T1")
    for wish in (desk.cancel("T1"), desk.notify("T1", "x")):
        with pytest.raises(Unavailable):
            await wish
    with pytest.raises(Unavailable):
        desk.jobs()
