"""What is in force, as one value: what follows from the settings, and what a reload leaves as it was."""

from __future__ import annotations

from tests.boards import standing

ENVIRON = {"PATH": "/bin", "AWS_KEY": "x", "SECRET": "y"}
A, B = {"event": "a", "cmd": "true"}, {"event": "b", "cmd": "echo {{x}}", "retries": {"attempts": 3}}


def test_specs_stand_under_their_events_with_what_becomes_of_their_lost_attempts() -> None:
    now = standing(jobs=[A, B])
    assert list(now.specs) == ["a", "b"]
    assert (now.rules()["a"].attempts, now.rules()["b"].attempts) == (1, 3)


def test_a_spec_that_did_not_change_stays_the_very_same() -> None:
    before = standing(jobs=[A, B])
    now = standing(before=before, jobs=[{**B, "timeout": 3}, A])
    assert now.specs["a"] is before.specs["a"]
    assert now.specs["b"] is not before.specs["b"]
    assert now.specs["b"].timeout == 3


def test_a_spec_that_was_removed_is_gone() -> None:
    assert list(standing(before=standing(jobs=[A, B]), jobs=[B]).specs) == ["b"]


def test_the_environment_of_all_jobs_stays_the_very_same_until_it_changes() -> None:
    before = standing(ENVIRON, pass_env=["LANG"])
    same = standing(ENVIRON, before, jobs=[A])
    wider = standing(ENVIRON, same, pass_env=["AWS_*"])
    assert same.base is before.base
    assert set(wider.base) == {"PATH", "AWS_KEY"}
