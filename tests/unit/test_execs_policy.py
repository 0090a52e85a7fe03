"""The rule of what follows the end of an exec, as a table (protocol job-item.md, sections 5.3 and 9.4)."""

from __future__ import annotations

import pytest

from execs.policy import STABLE_S, Rest, Retry, count_failures, decide, tries_of


@pytest.mark.parametrize(("attempt", "tries"), [(-1, 3), (0, 3), (1, 1), (7, 7)])
def test_no_attempts_means_three(attempt: int, tries: int) -> None:
    assert tries_of(attempt) == tries


@pytest.mark.parametrize(
    ("exit_code", "failures", "follows"),
    [
        (0, 0, Rest("stopped")),
        (0, 2, Rest("stopped")),
        (1, 1, Retry(1.0)),
        (None, 1, Retry(1.0)),
        (1, 2, Retry(2.0)),
        (1, 3, Rest("failed")),
        (None, 9, Rest("failed")),
    ],
)
def test_an_end_is_followed_by_a_pause_or_by_rest(exit_code: int | None, failures: int, follows: Retry | Rest) -> None:
    assert decide(exit_code, failures, tries=3, draw=0.0) == follows


def test_the_pauses_are_bounded() -> None:
    pauses = [decide(1, failures, 1000, 0.0) for failures in range(1, 100)]
    assert max(pause.after_s for pause in pauses if isinstance(pause, Retry)) == 60.0


def test_a_stable_run_starts_the_count_anew() -> None:
    assert count_failures(2, STABLE_S) == 1
    assert count_failures(2, STABLE_S / 2) == 3
