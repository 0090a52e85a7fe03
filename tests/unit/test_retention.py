"""What of the past is kept: the oldest ended jobs go first, until all bounds hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from job_item.job import Status, Usage
from job_item.nodespec import Keep
from tests.journals import accept, in_loop, journal_in, run
from worker.journal import Ended
from worker.retention import DAY_S, DOUBT_S, SLICE, ClockWatch, Excess, overdue, prune

OLDEST = [Ended(f"t{number}", 1, float(number), 10) for number in range(6)]

TABLE = [
    (Excess(ended_before=0.0, jobs=0, log_bytes=0), 0),
    (Excess(ended_before=2.0, jobs=0, log_bytes=0), 2),
    (Excess(ended_before=0.0, jobs=3, log_bytes=0), 3),
    (Excess(ended_before=0.0, jobs=-3, log_bytes=0), 0),
    (Excess(ended_before=0.0, jobs=0, log_bytes=1), 1),
    (Excess(ended_before=0.0, jobs=0, log_bytes=11), 2),
    (Excess(ended_before=2.0, jobs=1, log_bytes=35), 4),
    (Excess(ended_before=99.0, jobs=0, log_bytes=0), 6),
]


@pytest.mark.parametrize(("excess", "dropped"), TABLE)
def test_the_oldest_go_until_age_number_and_output_are_within_bounds(excess: Excess, dropped: int) -> None:
    assert overdue(OLDEST, excess) == OLDEST[:dropped]


@in_loop
async def test_pruning_drops_in_slices_and_never_a_job_that_has_not_ended(tmp_path: Path) -> None:
    removed: list[str] = []

    def remove(jobs: Sequence[Ended]) -> None:
        assert len(jobs) <= SLICE
        removed.extend(job.task_id for job in jobs)

    async with journal_in(tmp_path) as journal:
        await accept(journal, "queued")
        for number in range(2 * SLICE + 5):
            await run(journal, f"t{number}", finished_at=float(number), usage=Usage(stdout_bytes=1))
        assert await prune(journal, Keep(jobs=3), 1.0, remove) == 2 * SLICE + 2
        assert removed == [f"t{number}" for number in range(2 * SLICE + 2)]
        assert journal.log_bytes == 3
        assert await prune(journal, Keep(log_bytes=2), 1.0, remove) == 1
        assert await prune(journal, Keep(days=1), 2 * SLICE + 4 + DAY_S, remove) == 1
        assert [record.task_id for record in journal.records(status=Status.FINISH)] == [f"t{2 * SLICE + 4}"]
        assert await prune(journal, Keep(days=1), None, remove) == 0
        assert await prune(journal, Keep(days=1), 10 * DAY_S, remove) == 1
        assert [record.task_id for record in journal.records()] == ["queued"]


def test_a_clock_that_goes_evenly_is_believed() -> None:
    clock = ClockWatch()
    assert [clock.trusted(1e9 + at_s, float(at_s)) for at_s in (0, 60, 7200)] == [1e9, 1e9 + 60, 1e9 + 7200]
    assert clock.trusted(1e9 + 7262, 7260.0) == 1e9 + 7262  # corrected by two seconds


@pytest.mark.parametrize("jump_s", [10 * DAY_S, -3600.0])
def test_a_clock_that_was_set_is_not_believed_for_a_while(jump_s: float) -> None:
    clock = ClockWatch()
    clock.trusted(1e9, 0.0)
    assert clock.trusted(1e9 + 60 + jump_s, 60.0) is None
    assert clock.trusted(1e9 + 120 + jump_s, 120.0) is None
    assert clock.trusted(1e9 + 180, 180.0) is None  # set back
    assert clock.trusted(1e9 + 179 + DOUBT_S, 179 + DOUBT_S) is None
    assert clock.trusted(1e9 + 181 + DOUBT_S, 181 + DOUBT_S) == 1e9 + 181 + DOUBT_S
