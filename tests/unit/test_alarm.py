"""An alarm counts only the time in which the loop ran; here with a loop whose clock is a number."""

from __future__ import annotations

import asyncio

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
    """How often an alarm of 5 s has rung after each of these stretches."""
    loop, rung, counts = Clock(), [], []
    Alarm(loop, 5.0, lambda: rung.append(1))
    for stretch_s in stretches_s:
        loop.go_on(stretch_s)
        counts.append(len(rung))
    loop.close()
    return counts


def test_it_rings_once_when_its_time_has_come() -> None:
    assert rung_after(4.9, 0.2, 10.0) == [0, 1, 1]


def test_after_a_stop_it_begins_anew() -> None:
    assert rung_after(3600.0, 4.9, 0.2) == [0, 0, 1]


def test_a_cancelled_one_is_silent_also_after_a_stop() -> None:
    loop, rung = Clock(), []
    alarm = Alarm(loop, 5.0, lambda: rung.append(1))
    loop.go_on(3600.0)
    alarm.cancel()
    loop.go_on(6.0)
    loop.close()
    assert rung == []
