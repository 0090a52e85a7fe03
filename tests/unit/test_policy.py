"""Back-off, windows and restarts: tables and properties, with a clock that is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_item.policy import Again, Backoff, Restarts, Stop, Window

BACKOFF = Backoff(base_s=0.05, factor=2.0, cap_s=10.0, jitter=0.5)
PLAIN = Backoff(base_s=0.05, factor=2.0, cap_s=10.0, jitter=0.0)


def restarts(limit: int = 5, window_s: float = 60.0) -> Restarts:
    return Restarts(early=Window(limit, window_s), backoff=PLAIN)


@pytest.mark.parametrize(
    ("failures", "delay_s"),
    [(1, 0.05), (2, 0.1), (3, 0.2), (4, 0.4), (8, 6.4), (9, 10.0), (10, 10.0), (5000, 10.0)],
)
def test_the_pause_doubles_from_50_ms_to_10_s(failures: int, delay_s: float) -> None:
    assert PLAIN.delay_s(failures, 0.7) == pytest.approx(delay_s)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_chance_only_shortens_a_pause_and_by_half_at_most(failures: int, draw: float) -> None:
    full = BACKOFF.delay_s(failures, 0.0)
    assert full / 2 <= BACKOFF.delay_s(failures, draw) <= full <= BACKOFF.cap_s


@given(st.integers(1, 100))
def test_pauses_never_get_shorter(failures: int) -> None:
    assert BACKOFF.delay_s(failures, 0.0) <= BACKOFF.delay_s(failures + 1, 0.0)


def test_a_window_has_room_until_its_limit_and_again_when_the_oldest_event_leaves() -> None:
    window = Window(limit=2, window_s=10.0).add(0.0).add(4.0)
    assert window.wait_s(5.0) == 5.0
    assert window.wait_s(10.0) == 0.0
    assert window.add(10.0).wait_s(10.0) == 4.0


@given(
    st.integers(1, 5),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 50), max_size=40),
)
def test_never_more_than_the_limit_within_any_window(limit: int, window_s: float, gaps: list[float]) -> None:
    window, now_s, events = Window(limit, window_s), 0.0, []
    for gap_s in gaps:
        now_s += gap_s
        now_s += window.wait_s(now_s)
        window = window.add(now_s)
        events.append(now_s)
    for first, last in zip(events, events[limit:], strict=False):
        assert last - first >= window_s * (1 - 1e-9)
    assert len(window.moments) <= limit + 1


@pytest.mark.parametrize(
    ("exit_code", "was_ready", "verdict"),
    [
        (1, True, Again(0.0)),
        (0, True, Again(0.0)),
        (-9, True, Again(0.0)),
        (70, True, Again(0.0)),
        (None, True, Again(0.0)),
        (75, True, Again(0.0)),
        (75, False, Again(0.0)),
        (1, False, Again(0.05)),
        (0, False, Again(0.05)),
        (-9, False, Again(0.05)),
        (None, False, Again(0.05)),
        (78, True, Stop(78, "ERR-SUP-013")),
        (78, False, Stop(78, "ERR-SUP-013")),
        (76, True, Stop(76, "ERR-SUP-012")),
        (76, False, Stop(76, "ERR-SUP-012")),
    ],
)
def test_what_follows_a_death(exit_code: int | None, was_ready: bool, verdict: Again | Stop) -> None:
    assert restarts().judge(exit_code, was_ready, 100.0, 0.0)[1] == verdict


def test_the_sixth_death_before_ready_within_the_window_ends_the_node() -> None:
    memory, verdicts = restarts(), []
    for second in range(6):
        memory, verdict = memory.judge(1, False, float(second), 0.0)
        verdicts.append(verdict)
    assert [verdict.after_s for verdict in verdicts[:5] if isinstance(verdict, Again)] == [0.05, 0.1, 0.2, 0.4, 0.8]
    assert verdicts[5] == Stop(1, "ERR-SUP-004")


def test_deaths_before_ready_that_are_far_apart_never_end_the_node() -> None:
    memory = restarts()
    for minute in range(50):
        memory, verdict = memory.judge(1, False, 61.0 * minute, 0.0)
        assert isinstance(verdict, Again)


def test_the_101st_restart_of_a_ready_child_waits_until_the_window_has_room() -> None:
    memory = restarts()
    for number in range(100):
        memory, verdict = memory.judge(-9, True, number * 0.1, 0.0)
        assert verdict == Again(0.0)
    assert memory.judge(-9, True, 10.0, 0.0)[1] == Again(50.0)
    assert memory.judge(-9, True, 60.0, 0.0)[1] == Again(0.0)


def test_ready_starts_the_back_off_anew_but_the_window_remembers() -> None:
    memory = restarts(limit=3)
    for _ in range(3):
        memory, _verdict = memory.judge(1, False, 0.0, 0.0)
    memory = memory.ready()
    assert memory.judge(1, False, 1.0, 0.0)[1] == Stop(1, "ERR-SUP-004")
    assert memory.judge(1, False, 61.0, 0.0)[1] == Again(0.05)
