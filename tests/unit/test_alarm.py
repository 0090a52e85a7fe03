"""An alarm counts only the time in which the loop ran; here with a loop whose clock is a number."""

from __future__ import annotations

import asyncio

import pytest

from job_item.alarm import Alarm


class Clock(asyncio.SelectorEventLoop):
    """A loop that does not wait: its time is what the test says."""

    def __init__(self) -> None:
        self.now_s = 100.0
        super().__init__()

    def time(self) -> float:
        return self.now_s

    def go_on(self, seconds: float) -> None:
        """Let so many seconds pass without a turn of the loop, then have it turn until nothing is due."""
        self.now_s += seconds
        for _ in range(3):
            self.call_soon(self.stop)
            self.run_forever()


def rung_after(*stretches_s: float) -> list[int]:
    """How often an alarm of 5 s has rung after each of these stretches, in which the loop did not turn."""
    loop, rung, counts = Clock(), [], []
    Alarm(loop, 5.0, lambda: rung.append(1))
    for stretch_s in stretches_s:
        loop.go_on(stretch_s)
        counts.append(len(rung))
    loop.close()
    return counts


def test_it_rings_once_when_its_time_has_come() -> None:
    assert rung_after(3.0, 1.9, 0.2, 10.0) == [0, 0, 1, 1]


@pytest.mark.parametrize("stop_s", [3.1, 4.9, 5.0, 5.8, 7.0, 3600.0])
def test_after_a_stop_of_any_length_the_others_have_time_to_answer(stop_s: float) -> None:
    assert rung_after(stop_s, 1.9, 0.2) == [0, 0, 1]


@pytest.mark.parametrize("stop_s", [3.1, 4.9, 7.0, 3600.0])
def test_a_stop_in_its_last_call_begins_that_anew(stop_s: float) -> None:
    assert rung_after(3.0, stop_s, 1.9, 0.2) == [0, 0, 0, 1]


def test_stop_after_stop_puts_it_off_as_often() -> None:
    assert rung_after(3.0, 5.8, 5.8, 5.8, 1.9, 0.2) == [0, 0, 0, 0, 0, 1]


def test_a_late_turn_is_no_stop() -> None:
    assert rung_after(3.0, 2.9) == [0, 1]


def test_it_tells_when_it_will_ring() -> None:
    loop = Clock()
    alarm = Alarm(loop, 5.0, lambda: None)
    before = alarm.when()
    loop.go_on(3.0)
    after = alarm.when()
    alarm.cancel()
    loop.close()
    assert (before, after) == (105.0, 105.0)


def test_a_cancelled_one_is_silent_also_after_a_stop() -> None:
    loop, rung = Clock(), []
    alarm = Alarm(loop, 5.0, lambda: rung.append(1))
    loop.go_on(3600.0)
    alarm.cancel()
    loop.go_on(6.0)
    loop.close()
    assert rung == []
