"""What is in force, as one value: what follows from the settings, and what a reload leaves as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from job_item.manager.answer import Registration
from job_item.settings import Job, Settings
from tests.boards import standing, start_with
from worker.standing import BACKSTOP_S, Standing

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


KNOWN = {"a": Registration(2, 60.0), "free": Registration()}


def known(**spec: Any) -> Job:
    start = start_with(Path("/nowhere"), Settings(jobs=(Job(event="a", cmd="x", **spec),)), registered=KNOWN)
    return Standing.of(start, {}).specs["a"]


@pytest.mark.parametrize(
    ("own", "concurrency", "timeout"),
    [
        ({}, 2, 60.0 + BACKSTOP_S),
        ({"concurrency": 1, "timeout": 5}, 1, 5.0),
        ({"concurrency": 2, "timeout": 90}, 2, 90.0),
        ({"concurrency": 9, "timeout": 1000}, 2, 60.0 + BACKSTOP_S),
    ],
)
def test_the_managers_bounds_are_a_back_stop_for_those_of_the_node(
    own: dict[str, Any], concurrency: int, timeout: float
) -> None:
    spec = known(**own)
    assert (spec.concurrency, spec.timeout) == (concurrency, timeout)


def test_only_events_that_the_manager_knows_are_announced_all_of_them_without_one() -> None:
    jobs = tuple(Job(event=event, cmd="x") for event in ("a", "free", "unknown"))
    start = start_with(Path("/nowhere"), Settings(jobs=jobs), registered=KNOWN)
    standing_now = Standing.of(start, {})
    assert set(standing_now.specs) == {"a", "free", "unknown"}
    assert set(standing_now.announced) == {"a", "free"}
    assert standing_now.specs["free"] is jobs[1]
    assert set(Standing.of(start_with(Path("/nowhere"), Settings(jobs=jobs)), {}).announced) == {"a", "free", "unknown"}


def test_a_bounded_spec_stays_the_very_same_until_its_bounds_change() -> None:
    settings = Settings(jobs=(Job(event="a", cmd="x"),))
    before = Standing.of(start_with(Path("/nowhere"), settings, registered=KNOWN), {})
    after = Standing.of(start_with(Path("/nowhere"), settings, registered={**KNOWN, "b": Registration()}), {}, before)
    assert after.specs["a"] is before.specs["a"]
    wider = Standing.of(start_with(Path("/nowhere"), settings, registered={"a": Registration(3)}), {}, after)
    assert (wider.specs["a"].concurrency, wider.specs["a"].timeout) == (3, None)
