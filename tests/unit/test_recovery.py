"""What becomes of a job whose worker died."""

from __future__ import annotations

import pytest

from job_item.job import Status
from worker.recovery import Fate, Lost, Rules, decide, may_rerun

TABLE = [
    # on_lost, attempts, number of the lost attempt, runs again
    ("rerun", 1, 1, True),
    ("rerun", 1, 2, False),
    ("rerun", 2, 1, True),
    ("rerun", 2, 2, False),
    ("rerun", 3, 2, True),
    ("rerun", 3, 3, False),
    ("error", 1, 1, False),
    ("error", 3, 1, False),
]


@pytest.mark.parametrize(("on_lost", "attempts", "attempt", "again"), TABLE)
def test_a_lost_job_runs_again_within_its_attempts_but_at_least_once_more(
    on_lost: str, attempts: int, attempt: int, again: bool
) -> None:
    assert may_rerun(on_lost, attempts, attempt) is again


def lost(wish: Status | None = None) -> Lost:
    return Lost("a", "render", 1, 7, wish)


def test_a_lost_attempt_is_an_error_and_may_be_followed_by_another() -> None:
    assert decide(lost(), Rules("rerun", 1)) == Fate(
        Status.ERROR, "ERR-RUN-020", "The worker died while the job ran.", True
    )
    assert not decide(lost(), Rules("error", 5)).rerun


@pytest.mark.parametrize("wish", [Status.TERMINATE, Status.TIMEOUT])
def test_a_lost_job_whose_end_was_asked_for_comes_to_that_end(wish: Status) -> None:
    fate = decide(lost(wish), Rules("rerun", 5))
    assert (fate.status, fate.rerun) == (wish, False)


def test_a_lost_job_that_is_not_configured_any_more_is_an_error() -> None:
    fate = decide(lost(), None)
    assert (fate.status, fate.error_code, fate.rerun) == (Status.ERROR, "ERR-JOB-001", False)
    assert "'render'" in fate.error
