"""What becomes of a job whose worker died."""

from __future__ import annotations

import pytest

from job_item.job import Status
from worker.recovery import Cause, Fate, Follow, Lost, Rules, decide, follow

TABLE: list[tuple[Cause, Rules, int, Follow]] = [
    # why, rules, number of the attempt, what follows
    ("lost", Rules("rerun", 1), 1, Follow.AGAIN),
    ("lost", Rules("rerun", 1), 2, Follow.DEAD),
    ("lost", Rules("rerun", 2), 1, Follow.AGAIN),
    ("lost", Rules("rerun", 2), 2, Follow.DEAD),
    ("lost", Rules("rerun", 3), 2, Follow.AGAIN),
    ("lost", Rules("rerun", 3), 3, Follow.DEAD),
    ("lost", Rules("error", 1), 1, Follow.END),
    ("lost", Rules("error", 3), 1, Follow.END),
    ("lost", Rules("rerun", 3, ["error"]), 1, Follow.END),
    ("error", Rules("rerun", 1), 1, Follow.END),
    ("error", Rules("rerun", 2), 1, Follow.AGAIN),
    ("error", Rules("error", 2), 2, Follow.DEAD),
    ("error", Rules("rerun", 2, ["timeout"]), 1, Follow.END),
    ("timeout", Rules("rerun", 2, ["timeout"]), 1, Follow.AGAIN),
    ("timeout", Rules("rerun", 2, ["timeout"]), 2, Follow.DEAD),
]


@pytest.mark.parametrize(("cause", "rules", "attempt", "wanted"), TABLE)
def test_what_follows_an_attempt_is_said_by_its_rules_and_a_lost_one_is_followed_by_one_more(
    cause: Cause, rules: Rules, attempt: int, wanted: Follow
) -> None:
    assert follow(cause, rules, attempt) is wanted


def lost(wish: Status | None = None) -> Lost:
    return Lost("a", "render", 1, 7, wish)


def test_a_lost_attempt_is_an_error_and_may_be_followed_by_another() -> None:
    assert decide(lost(), Rules("rerun", 1)) == Fate(
        Status.ERROR, "ERR-RUN-020", "The worker died while the job ran.", Follow.AGAIN
    )
    assert decide(lost(), Rules("error", 5)).follow is Follow.END


@pytest.mark.parametrize("wish", [Status.TERMINATE, Status.TIMEOUT])
def test_a_lost_job_whose_end_was_asked_for_comes_to_that_end(wish: Status) -> None:
    fate = decide(lost(wish), Rules("rerun", 5))
    assert (fate.status, fate.follow) == (wish, Follow.END)


def test_a_lost_job_that_is_not_configured_any_more_is_an_error() -> None:
    fate = decide(lost(), None)
    assert (fate.status, fate.error_code, fate.follow) == (Status.ERROR, "ERR-JOB-001", Follow.END)
    assert "'render'" in fate.error
