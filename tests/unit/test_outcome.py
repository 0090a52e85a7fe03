"""The status rules as a table (protocol job-item.md, sections 4.5 and 9.1)."""

from __future__ import annotations

import pytest

from job_item.job import Status, Usage
from worker.outcome import Outcome, Rule, judge

QUIET, LOUD = Usage(), Usage(stderr_bytes=1)


@pytest.mark.parametrize(
    ("outcome", "exit_code", "stderr", "strict"),
    [
        (Outcome("exit", 0, None, QUIET), Status.FINISH, Status.FINISH, Status.FINISH),
        (Outcome("exit", 0, None, LOUD), Status.FINISH, Status.ERROR, Status.ERROR),
        (Outcome("exit", 3, None, QUIET), Status.ERROR, Status.FINISH, Status.ERROR),
        (Outcome("exit", 3, None, LOUD), Status.ERROR, Status.ERROR, Status.ERROR),
        (Outcome("exit", None, 9, QUIET), Status.ERROR, Status.FINISH, Status.ERROR),
        (Outcome("exit", None, 15, LOUD), Status.ERROR, Status.ERROR, Status.ERROR),
        (Outcome("timeout", 0, None, LOUD), Status.TIMEOUT, Status.TIMEOUT, Status.TIMEOUT),
        (Outcome("terminate", None, 9, LOUD), Status.TERMINATE, Status.TERMINATE, Status.TERMINATE),
        (Outcome("lost"), Status.ERROR, Status.ERROR, Status.ERROR),
        (Outcome("failed", error_code="ERR-RUN-002", error="x"), Status.ERROR, Status.ERROR, Status.ERROR),
    ],
)
def test_each_end_has_one_status_under_each_rule(
    outcome: Outcome, exit_code: Status, stderr: Status, strict: Status
) -> None:
    rules: dict[Rule, Status] = {"exit_code": exit_code, "stderr": stderr, "strict": strict}
    for rule, status in rules.items():
        verdict = judge(outcome, rule)
        assert verdict.status is status
        assert (verdict.error_code is None) == (status is Status.FINISH)
        assert (verdict.error is None) == (status is Status.FINISH)
