"""How many jobs are sent ahead: rows of a table."""

from __future__ import annotations

from typing import Any

import pytest

from job_item.settings import Job
from worker.pace import LIMIT, Pace


def spec(**more: Any) -> Job:
    return Job.model_validate({"event": "a", "handler": "A", **more})


@pytest.mark.parametrize(
    ("runs_s", "ahead"),
    [
        ([], 0),
        ([0.00001] * 5, LIMIT - 1),
        ([0.001] * 5, 4),
        ([0.003], 0),
        ([10.0], 0),
        ([0.0001] * 50 + [0.02], 0),
        ([0.02] + [0.0001] * 50, 40),
    ],
)
def test_small_jobs_are_sent_ahead(runs_s: list[float], ahead: int) -> None:
    pace = Pace()
    for run_s in runs_s:
        pace.learn("a", run_s)
    assert pace.ahead(spec()) == pytest.approx(ahead, abs=10 if ahead == 40 else 0)


@pytest.mark.parametrize("more", [{"on_lost": "error"}, {"retries": {"on": ["error"]}}, {"timeout": 0.5}])
def test_a_job_that_must_not_wait_in_a_process_is_alone(more: dict[str, Any]) -> None:
    pace = Pace()
    pace.learn("a", 0.00001)
    assert pace.ahead(spec(**more)) == 0
    assert pace.ahead(spec(timeout=5)) == LIMIT - 1


def test_a_command_is_alone() -> None:
    pace = Pace()
    pace.learn("a", 0.00001)
    assert pace.ahead(Job(event="a", cmd="true")) == 0
