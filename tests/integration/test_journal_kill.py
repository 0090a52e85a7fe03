"""The process is killed between every two writes of the journal; what it had promised is there afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from job_item.job import JobRecord, Status
from tests.conftest import ROOT
from tests.journal_driver import EVENT, RULES, end_of
from tests.journals import claim, in_loop, journal_in
from worker.faults import VARIABLE, FaultPoints
from worker.journal import Journal
from worker.journal.tally import count

PASSES = (1, 4)
"""At which passing of a point the process is killed: with an empty journal, and in the middle of things."""


class Promises:
    """What a driver has told before it died."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.noted: set[str] = set()
        self.cancelled: set[str] = set()
        self.forgetting: set[str] = set()
        self.shared: set[str] = set()
        self.unsharing: set[str] = set()
        self.unshared: set[str] = set()
        self.saying: set[str] = set()
        self.said: set[str] = set()
        self.borrowed: set[str] = set()
        self.owning: set[str] = set()
        self.owned: set[str] = set()
        self.buried: set[str] = set()
        self.digging: set[str] = set()
        self.dropped: set[str] = set()
        self.fences: list[int] = []
        self.results: dict[tuple[str, int], bytes] = {}

    def read(self, told: str) -> None:
        """Take down the lines of a driver."""
        for line in told.splitlines():
            match line.split():
                case ["claimed", _, _, fence]:
                    self.fences.append(int(fence))
                case ["settled", task_id, attempt, result]:
                    self.results[task_id, int(attempt)] = bytes.fromhex(result)
                case [what, task_id]:
                    getattr(self, what).add(task_id)


def drive(folder: Path, incarnation: str, promises: Promises, fault: str) -> int:
    """Run a driver to its end; returns its exit code."""
    environ = {**os.environ, VARIABLE: fault}
    command = [sys.executable, "-m", "tests.journal_driver", str(folder), incarnation]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ, timeout=120)
    promises.read(done.stdout)
    assert done.stderr == ""
    return done.returncode


@pytest.mark.parametrize("point", FaultPoints.all_names)
@in_loop
async def test_nothing_that_was_promised_is_lost_by_a_kill_at(point: str, tmp_path: Path) -> None:
    promises = Promises()
    if point.startswith("recover."):
        assert drive(tmp_path, "before", promises, "claim.resolve:4") == -signal.SIGKILL
    for number, passing in enumerate((1,) if point.startswith("recover.") else PASSES):
        assert drive(tmp_path, f"run{number}", promises, f"{point}:{passing}") == -signal.SIGKILL
    async with journal_in(tmp_path, "after") as journal:
        await journal.recover(RULES, 5.0)
        await check(journal, promises)
        await finish(journal)
        await check(journal, promises)


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from job_item.errors import Unavailable
from tests.journals import EVENT, accept, journal_in

async def main(folder):
    async with journal_in(folder) as journal:
        await accept(journal, "first")
        size = (folder / "journal.sqlite-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10_000, resource.RLIM_INFINITY))
        small = [journal.accept(f"t{number}", EVENT, "test", b"{}", 1.0) for number in range(20)]
        big = journal.accept("big", EVENT, "test", b" " * 100_000, 1.0)
        *_, refused = await asyncio.gather(*small, big, return_exceptions=True)
        assert isinstance(refused, Unavailable), refused
        assert journal.record("big") is None
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        new, _ = await journal.accept("big", EVENT, "test", b" " * 100_000, 1.0)
        assert new

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_disk_that_takes_no_more_costs_only_what_does_not_fit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def check_loans(journal: Journal, promises: Promises) -> None:
    """A job on loan is there; what it has to say is held back until the broker knows of its end, and then is not."""
    assert all(journal.record(task_id) for task_id in promises.borrowed)
    unsaid = set(journal.unsaid())
    assert unsaid.isdisjoint(promises.owned)
    to_say = {saying.task_id for saying in journal.sayings(0, 10_000) if saying.kind == "finish"}
    assert promises.owned <= to_say
    assert promises.owning <= to_say | unsaid
    dead = {record.task_id for record in journal.dead(10_000)}
    assert dead.isdisjoint(promises.dropped)
    assert promises.buried - promises.digging <= dead


def check_outbox(journal: Journal, promises: Promises) -> None:
    """What was to be said is there in its order, and what was said is not."""
    for task_id in promises.saying - promises.forgetting:
        own = [saying.body for saying in journal.sayings(0, 10_000) if saying.task_id == task_id]
        assert own in ([b"first", task_id.encode()], [task_id.encode()]), own
        assert (b"first" in own) <= (task_id not in promises.said)


async def check(journal: Journal, promises: Promises) -> None:
    """Hold the journal against what was promised."""
    check_outbox(journal, promises)
    check_loans(journal, promises)
    for task_id in promises.accepted - promises.forgetting:
        record = journal.record(task_id)
        assert record is not None, f"{task_id} is lost"
        assert record.status is not Status.RUNNING
        check_attempts(record)
        assert not (task_id in promises.noted and not journal.notes(task_id))
        assert not (task_id in promises.cancelled and record.status is not Status.TERMINATE)
    for (task_id, attempt), result in promises.results.items():
        if task_id not in promises.forgetting:
            assert journal.result(task_id, attempt) == result
    shared = {share.task_id: share.data for share in journal.shares()}
    assert {task_id: f"text of {task_id}" for task_id in promises.shared - promises.unsharing}.items() <= shared.items()
    assert not promises.unshared & set(shared)
    assert len(set(promises.fences)) == len(promises.fences)
    counted = count(journal._reader._db).counts
    assert journal.counts() == {status: counted.get(status, 0) for status in Status}


def check_attempts(record: JobRecord) -> None:
    """Each attempt has one status, numbers and fences grow, and only the last attempt may be the final one."""
    assert [attempt.attempt for attempt in record.attempts] == list(range(1, record.attempt + 1))
    fences = [attempt.fence for attempt in record.attempts]
    assert fences == sorted(set(fences))
    assert all(attempt.status is not None for attempt in record.attempts)
    assert Status.FINISH not in [attempt.status for attempt in record.attempts[:-1]]


async def finish(journal: Journal) -> None:
    """Run what waits, and tell every result twice: the second time changes nothing."""
    for job in journal.waiting(EVENT, 0, 1000):
        made = await claim(journal, job.task_id)
        assert await journal.settle(end_of(made)) is Status.FINISH
        result = journal.result(job.task_id, made.attempt)
        assert result == end_of(made).result()
        assert await journal.settle(end_of(made)) is None
        assert journal.result(job.task_id, made.attempt) == result
    assert journal.waiting_events() == []
