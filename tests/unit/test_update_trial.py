"""When a version on trial has proved itself, and when it has not: a table."""

from __future__ import annotations

import pytest

from supervisor.trial import DEATHS, SILENCE_S, Terms, Trial, Verdict

READY_S = 40.0
TERMS = Terms(READY_S, watch_s=60.0)
FED = ("WATCHDOG=1",)


def judged(*said: tuple[float, str], at: float) -> tuple[Verdict, str]:
    trial = Trial.begin(TERMS, 0.0)
    for moment, line in said:
        assert trial.judge(moment)[0] is not Verdict.DROP
        trial = trial.hear(line.split("\n"), moment)
    return trial.judge(at)


FEEDING = [(float(second), "WATCHDOG=1") for second in range(10, 61, 10)]


@pytest.mark.parametrize(
    ("said", "at", "verdict", "reason"),
    [
        ([], READY_S - 1, Verdict.WAIT, ""),
        ([], READY_S, Verdict.DROP, "not ready in time"),
        ([(1.0, "STATUS=Starting")], READY_S, Verdict.DROP, "not ready in time"),
        ([(30.0, "EXTEND_TIMEOUT_USEC=60000000")], 89.0, Verdict.WAIT, ""),
        ([(30.0, "EXTEND_TIMEOUT_USEC=60000000")], 90.0, Verdict.DROP, "not ready in time"),
        ([(30.0, "EXTEND_TIMEOUT_USEC=99999999999999")], 150.0, Verdict.DROP, "not ready in time"),
        ([(30.0, "EXTEND_TIMEOUT_USEC=-1")], READY_S, Verdict.DROP, "not ready in time"),
        ([(5.0, "READY=1\nMAINPID=7")], 5.0 + SILENCE_S - 1, Verdict.WAIT, ""),
        ([(5.0, "READY=1")], 5.0 + SILENCE_S, Verdict.DROP, "silent"),
        ([(5.0, "READY=1"), *FEEDING], 64.9, Verdict.WAIT, ""),
        ([(5.0, "READY=1"), *FEEDING], 65.0, Verdict.KEEP, ""),
        ([(5.0, "READY=1"), (9.0, "READY=1"), *FEEDING], 65.0, Verdict.KEEP, ""),
        ([(5.0, "READY=1"), (6.0, f"{DEATHS}=1")], 7.0, Verdict.DROP, "1 of its children died"),
        ([(1.0, f"{DEATHS}=2")], 2.0, Verdict.DROP, "2 of its children died"),
        ([(1.0, f"{DEATHS}=many\n=\n\nREADY=0x")], 2.0, Verdict.WAIT, ""),
    ],
)
def test_a_version_is_kept_when_it_has_been_well_for_long_enough(
    said: list[tuple[float, str]], at: float, verdict: Verdict, reason: str
) -> None:
    found = judged(*said, at=at)
    assert found[0] is verdict
    assert reason in found[1]


def test_what_is_due_is_due_when_the_verdict_changes() -> None:
    trial = Trial.begin(TERMS, 0.0)
    assert trial.due_s == READY_S
    trial = trial.hear(["READY=1"], 1.0)
    assert trial.due_s == 1.0 + SILENCE_S
    trial = trial.hear(["WATCHDOG=1"], 55.0)
    assert trial.due_s == 61.0


def test_time_in_which_nobody_could_run_counts_for_nothing() -> None:
    trial = Trial.begin(TERMS, 0.0).hear(["READY=1"], 1.0).wake(1000.0)
    assert trial.judge(1015.0)[0] is Verdict.WAIT
    assert trial.judge(1021.0)[0] is Verdict.DROP
