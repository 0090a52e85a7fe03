"""The dispatcher while job specs and limits change under it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from job_item.job import Status
from job_item.settings import Job, Retries
from tests.dispatching import Company, company
from tests.journals import accept, in_loop
from worker.seams import Assignment

EVENTS = ("a", "b", "c")


def job(event: str = "render", cmd: str = "true", **members: object) -> Job:
    return Job.model_validate({"event": event, "cmd": cmd, **members})


async def settled(made: Company) -> None:
    """Wait until nothing is on its way: every job waits or plays."""
    dispatcher = made.dispatcher
    await made.until(lambda: not dispatcher._turns.pauses and len(dispatcher._tasks) == len(made.stage.running()))


@pytest.mark.parametrize(
    ("before", "after", "running"),
    [
        pytest.param((2, None), (4, None), 4, id="more slots are given away at once"),
        pytest.param((4, None), (2, None), 4, id="fewer slots stop nothing"),
        pytest.param((4, 1), (4, 3), 3, id="an event gets more of its own"),
        pytest.param((4, 3), (4, 1), 3, id="an event gets fewer of its own"),
        pytest.param((4, 2), (4, None), 4, id="an event loses its own limit"),
        pytest.param((4, None), (4, 2), 4, id="an event gets a limit of its own"),
    ],
)
@in_loop
async def test_slots_go_up_and_down_without_stopping_what_runs(
    before: tuple[int, int | None], after: tuple[int, int | None], running: int, tmp_path: Path
) -> None:
    async with company(tmp_path, job(concurrency=before[1]), concurrency=before[0]) as made:
        await accept(made.journal, *(f"t{number}" for number in range(12)))
        made.dispatcher.start()
        await settled(made)
        made.adopt(job(concurrency=after[1]), concurrency=after[0])
        await settled(made)
        assert len(made.stage.running()) == running
        limit = min(after[0], after[1] or after[0])
        for still in range(running - 1, limit - 1, -1):
            made.stage.finish(made.stage.running()[0])
            await settled(made)
            assert len(made.stage.running()) == still
        made.stage.finish(made.stage.running()[0])
        await settled(made)
        assert len(made.stage.running()) == limit


@in_loop
async def test_a_running_job_keeps_its_spec_and_a_waiting_one_gets_the_newest(tmp_path: Path) -> None:
    async with company(tmp_path, job(cmd="old", retries=Retries(attempts=2, backoff=0.0)), concurrency=1) as made:
        await accept(made.journal, "a", "b")
        made.dispatcher.start()
        await settled(made)
        made.adopt(job(cmd="new"), concurrency=1)
        made.adopt(job(cmd="newest"), concurrency=1)
        made.stage.finish("a", exit_code=1)  # by the old spec it runs again, by the newest it would not
        await made.until(lambda: made.stage.started == ["a", "b"])
        assert made.stage.specs["b"].cmd == "newest"
        made.stage.finish("b")
        await made.until(lambda: made.stage.started == ["a", "b", "a"])
        assert made.stage.specs["a"].cmd == "newest"


@in_loop
async def test_the_jobs_of_an_event_that_is_removed_wait_for_its_return(tmp_path: Path) -> None:
    async with company(tmp_path, job("a"), job("b"), concurrency=1) as made:
        await accept(made.journal, "a1", "a2", "a3", event="a")
        made.dispatcher.start()
        await settled(made)
        made.adopt(job("b"), concurrency=1)
        made.stage.finish("a1")
        await accept(made.journal, "a4", event="a")  # it was on its way when its event was removed
        made.dispatcher.offer("a")
        await accept(made.journal, "b1", event="b")
        made.dispatcher.offer("b")
        await made.play("b1")
        await settled(made)
        assert made.stage.started == ["a1", "b1"]
        made.adopt(job("b"), job("a", cmd="again"), concurrency=1)
        for task_id in ("a2", "a3", "a4"):
            await made.play(task_id)
            assert made.stage.specs[task_id].cmd == "again"
        await made.until_status("a4", Status.FINISH)
        assert made.stage.started == ["a1", "b1", "a2", "a3", "a4"]


@in_loop
async def test_a_retry_of_an_event_that_is_removed_waits_for_its_return(tmp_path: Path) -> None:
    async with company(tmp_path, job("a", retries=Retries(attempts=2, backoff=0.0))) as made:
        await accept(made.journal, "a1", event="a")
        made.dispatcher.start()
        await settled(made)
        made.adopt(job("b"))
        made.stage.finish("a1", exit_code=1)
        await made.until_status("a1", Status.QUEUED)
        await settled(made)
        assert made.stage.started == ["a1"]
        made.adopt(job("a"))
        await made.until(lambda: made.stage.started == ["a1", "a1"])
        made.stage.finish("a1")
        await made.until_status("a1", Status.FINISH)


@in_loop
async def test_jobs_that_were_stranded_before_the_start_run_when_their_event_comes(tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        await accept(made.journal, "a1", event="a")
        made.dispatcher.start()
        made.adopt(job("a"))
        await made.play("a1")
        await made.until_status("a1", Status.FINISH)


@in_loop
async def test_nothing_starts_by_an_adoption_before_the_start_or_after_the_close(tmp_path: Path) -> None:
    async with company(tmp_path, job("a")) as made:
        await accept(made.journal, "a1", "a2", "a3", event="a")
        made.adopt(job("a", cmd="new"), concurrency=1)
        await asyncio.sleep(0)
        assert made.dispatcher._tasks == set()
        made.dispatcher.start()
        await settled(made)
        made.dispatcher.close()
        made.adopt(job("a", cmd="newest"), concurrency=3)
        made.stage.finish("a1")
        await made.until_status("a1", Status.FINISH)
        assert made.stage.started == ["a1"]
        assert made.stage.specs["a1"].cmd == "new"


class History:
    """A random history of one dispatcher, checked at every step."""

    def __init__(self, made: Company, chance: random.Random) -> None:
        self._made = made
        self._chance = chance
        self._versions = 0
        self._most = 0
        self.tasks: dict[str, str] = {}
        made.stage.on_start = self._check_start

    def _check_start(self, assignment: Assignment) -> None:
        newest = self._made.board.standing.specs.get(assignment.event)
        assert newest is None or assignment.spec == newest

    def _limit(self) -> int:
        return self._made.board.standing.settings.limits.concurrency

    def _check_slots(self) -> None:
        """No more slots are taken than there are, unless they were taken while there were more."""
        taken = self._made.dispatcher._slots.taken
        assert taken <= max(self._most, self._limit())
        self._most = taken

    def adopt(self, *, all_events: bool = False) -> None:
        self._versions += 1
        events = [event for event in EVENTS if all_events or self._chance.random() < 0.7]
        self._chance.shuffle(events)
        specs = []
        for event in events:
            own = None if all_events else self._chance.choice([None, None, 1, 2])
            retries = Retries(attempts=self._chance.randint(1, 3), backoff=0.0)
            specs.append(job(event, cmd=f"v{self._versions}", concurrency=own, retries=retries))
        self._made.adopt(*specs, concurrency=self._chance.randint(1, 5))

    async def submit(self) -> None:
        event, task_id = self._chance.choice(EVENTS), f"t{len(self.tasks)}"
        if event in self._made.board.standing.specs:
            self.tasks[task_id] = event
            await accept(self._made.journal, task_id, event=event)
            self._made.dispatcher.offer(event)

    def end(self) -> None:
        if running := self._made.stage.running():
            self._made.stage.finish(self._chance.choice(running), self._chance.choice([0, 0, 1]))

    async def cancel(self) -> None:
        if self.tasks:
            task_id = self._chance.choice(list(self.tasks))
            await self._made.journal.ask_cancel(task_id)
            self._made.dispatcher.stop(task_id, "terminate")

    async def step(self) -> None:
        match self._chance.choices(["adopt", "submit", "end", "cancel"], [2, 6, 5, 1])[0]:
            case "adopt":
                self.adopt()
            case "submit":
                await self.submit()
            case "end":
                self.end()
            case "cancel":
                await self.cancel()
        for _ in range(self._chance.randint(0, 3)):
            await asyncio.sleep(0)
        self._check_slots()
        if self._chance.random() < 0.2:
            await settled(self._made)
            self._check_rest()

    def _check_rest(self) -> None:
        """No slot stands empty for which a job waits."""
        made = self._made
        running = Counter(self.tasks[task_id] for task_id in made.stage.running())
        assert made.dispatcher._slots.taken == running.total()
        if running.total() >= self._limit():
            return
        for event, spec in made.board.standing.specs.items():
            if spec.concurrency is None or running[event] < spec.concurrency:
                assert not made.journal.waiting(event, 0, 1), event

    async def finish(self) -> None:
        """Configure every event again and let all jobs end."""
        self.adopt(all_events=True)
        while True:
            await settled(self._made)
            self._check_rest()
            if not self._made.stage.running():
                break
            self.end()
        for task_id in self.tasks:
            assert self._made.record(task_id).status.is_final
        assert self._made.dispatcher._slots.taken == 0
        assert all(not line.running for line in self._made.dispatcher._turns._lines.values())


@pytest.mark.parametrize("seed", range(40))
@in_loop
async def test_in_any_history_no_slot_is_lost_no_limit_broken_and_nothing_starved(seed: int, tmp_path: Path) -> None:
    async with company(tmp_path) as made:
        history = History(made, random.Random(seed))
        made.dispatcher.start()
        for _ in range(80):
            await history.step()
        await history.finish()
