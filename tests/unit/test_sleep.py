"""Whether the parent was stopped itself: judged by how late a wait comes back."""

from __future__ import annotations

import pytest

from supervisor.sleep import end_of_wait_s, slept_s


@pytest.mark.parametrize(
    ("due_s", "silence_s", "expected"),
    [(None, 20.0, None), (103.0, 20.0, 103.0), (120.0, 20.0, 105.0), (90.0, 20.0, 90.0), (104.0, 5.0, 101.25)],
)
def test_a_wait_is_never_longer_than_a_quarter_of_the_silence_that_is_allowed(
    due_s: float | None, silence_s: float, expected: float | None
) -> None:
    assert end_of_wait_s(due_s, silence_s, 100.0) == expected


@pytest.mark.parametrize(
    ("end_s", "silence_s", "expected"),
    [
        (None, 20.0, None),
        (105.0, 20.0, None),
        (98.0, 20.0, None),
        (97.9, 20.0, pytest.approx(2.1)),
        (98.8, 5.0, None),
        (98.7, 5.0, pytest.approx(1.3)),
    ],
)
def test_a_wait_that_comes_back_late_tells_of_a_stop(
    end_s: float | None, silence_s: float, expected: float | None
) -> None:
    assert slept_s(end_s, silence_s, 100.0) == expected


@pytest.mark.parametrize("silence_s", [1.0, 5.0, 20.0, 300.0])
def test_no_stop_that_could_pass_for_the_silence_of_a_child_stays_unnoticed(silence_s: float) -> None:
    """Whenever it begins: what is left of a child's time after an unnoticed stop is a good part of the silence."""
    for begun in range(100):
        begun_s = begun / 100 * silence_s / 4
        for length in range(1, 200):
            stop_s = length / 100 * silence_s
            end_s = end_of_wait_s(silence_s, silence_s, 0.0)
            if slept_s(end_s, silence_s, begun_s + stop_s) is None:
                assert stop_s <= silence_s / 2
