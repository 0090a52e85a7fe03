"""Progress at a bearable rate."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.sdk.progress import INTERVAL_S, Progress, share_of


@pytest.mark.parametrize(
    ("current", "total", "share"),
    [(0, None, 0.0), (0.25, None, 0.25), (1, None, 1.0), (3, 12, 0.25), (12, 12, 1.0), (1 + 1e-12, None, 1.0)],
)
def test_a_share_is_of_one_or_of_the_total(current: float, total: float | None, share: float) -> None:
    assert share_of(current, total) == share


@pytest.mark.parametrize(
    ("current", "total"), [(1.5, None), (-0.1, None), (5, 4), (1, 0), (1, -1), (float("nan"), None), (1, float("nan"))]
)
def test_what_is_no_share_is_an_error_of_the_caller(current: float, total: float | None) -> None:
    with pytest.raises(ValueError, match=r"share|above 0"):
        share_of(current, total)


class Script:
    """A progress with a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.sent: list[str] = []
        self.progress = Progress(lambda: self.now_s, self.sent.append)


def test_the_first_and_the_last_are_sent_and_between_them_one_each_interval() -> None:
    script = Script()
    for step in range(101):
        script.progress(step, 100)
        script.now_s += INTERVAL_S / 10
    assert script.sent[0] == "0 %"
    assert script.sent[-1] == "100 %"
    assert len(script.sent) == 11


def test_the_same_line_is_not_sent_twice() -> None:
    script = Script()
    for _ in range(3):
        script.progress(1, 1, "done")
        script.now_s += 60
    assert script.sent == ["100 % done"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3))))
def test_whatever_the_steps_two_that_are_not_the_end_are_an_interval_apart(steps: list[tuple[float, float]]) -> None:
    script, moments = Script(), list[float]()
    for share, pause_s in steps:
        before = len(script.sent)
        script.progress(share)
        if len(script.sent) > before and share < 1:
            moments.append(script.now_s)
        script.now_s += pause_s
    assert all(after - before >= INTERVAL_S for before, after in pairwise(moments))
