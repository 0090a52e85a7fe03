"""When a connection that nobody has called lost is asked, or made anew: the table."""

from __future__ import annotations

import pytest

from worker.brokers.watchdog import STUCK_S, Progress, Verdict, judge

TABLE = [
    ("just made", Progress(0.0, 0.0, 0.0), Verdict.TRUST),
    ("messages come in", Progress(100.0, 99.0, 0.0), Verdict.TRUST),
    ("silent for an interval", Progress(5.0, 0.0, 0.0), Verdict.PROBE),
    ("idle, and the broker has nothing", Progress(100.0, 99.0, 0.0, 0.0, True), Verdict.TRUST),
    ("work waits, slots are free", Progress(STUCK_S, STUCK_S, 0.0, STUCK_S, True), Verdict.REBUILD),
    ("work waits, probes are answered all the same", Progress(100.0, 100.0, 50.0, 20.0, True), Verdict.REBUILD),
    ("work waits, but all slots are taken", Progress(100.0, 99.0, 0.0, 20.0, False), Verdict.TRUST),
    ("work waits, but one was taken a moment ago", Progress(100.0, 99.0, 95.0, 20.0, True), Verdict.TRUST),
    ("work is known to wait since a moment ago", Progress(100.0, 99.0, 0.0, 1.0, True), Verdict.TRUST),
]


@pytest.mark.parametrize(("progress", "verdict"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_connection_is_trusted_asked_or_made_anew(progress: Progress, verdict: Verdict) -> None:
    assert judge(progress, 5.0) is verdict
