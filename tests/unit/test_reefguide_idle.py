"""When a node that polls is idle: the pure rule, and that it is acted on at the very moment."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.journals import in_loop
from worker.reefguide import idle
from worker.reefguide.idle import STRANDED_S, Idle, Load, decide

NOTHING = Load()
JOBS = Load(has_jobs=True)
CLAIMS = Load(has_open_claims=True)
RESULTS = Load(has_results=True)
TIMEOUT_S = 300.0


@pytest.mark.parametrize(
    ("load", "quiet_s", "left_s"),
    [
        (NOTHING, 0.0, 300.0),
        (NOTHING, 299.0, 1.0),
        (NOTHING, 300.0, 0.0),
        (NOTHING, 1e9, 0.0),
        # With jobs it is never idle; if the last ends right now, it is in a whole time-out.
        (JOBS, 1e9, 300.0),
        (Load(has_jobs=True, has_open_claims=True, has_results=True), 1e9, 300.0),
        # A claim is waited for, but it neither prolongs the time nor holds the node for ever.
        (CLAIMS, 300.0, 300.0),
        (CLAIMS, STRANDED_S - 1.0, 1.0),
        (CLAIMS, STRANDED_S, 0.0),
        # So are results.
        (RESULTS, 300.0, 300.0),
        (RESULTS, STRANDED_S - 1.0, 1.0),
        (RESULTS, STRANDED_S, 0.0),
    ],
)
def test_a_node_is_idle_when_nothing_was_to_do_for_long_enough(load: Load, quiet_s: float, left_s: float) -> None:
    assert decide(load, quiet_s, TIMEOUT_S) == left_s


def test_a_time_out_above_the_longest_wait_for_results_is_not_shortened_by_them() -> None:
    long_s = 2 * STRANDED_S
    assert decide(RESULTS, STRANDED_S, long_s) == long_s - STRANDED_S


class Case:
    """An `Idle` whose load is what the test says."""

    def __init__(self, load: Load, timeout_s: float) -> None:
        self.load = load
        self.ended = asyncio.Event()
        self.looks = asyncio.Event()
        self.idle = Idle(timeout_s, self._look, self.ended.set)

    def _look(self) -> Load:
        self.looks.set()
        return self.load

    async def await_look(self) -> None:
        """Wait until it has looked once more."""
        self.looks.clear()
        async with asyncio.timeout(60):
            await self.looks.wait()


@in_loop
async def test_a_claim_that_is_lost_after_the_time_ends_the_node_at_once() -> None:
    case = Case(CLAIMS, 0.05)
    case.idle.start()
    await case.await_look()
    assert not case.ended.is_set()
    case.load = NOTHING
    case.idle.look()  # the claim has come to its end
    assert case.ended.is_set()


@in_loop
async def test_a_job_that_was_won_begins_the_time_anew_and_its_end_once_more() -> None:
    case = Case(JOBS, 0.05)
    case.idle.start()
    await case.await_look()
    await case.await_look()
    assert not case.ended.is_set()
    case.load = NOTHING
    case.idle.touch()
    async with asyncio.timeout(60):
        await case.ended.wait()


@in_loop
async def test_a_node_that_ends_before_the_api_has_all_results_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "STRANDED_S", 0.1)
    case = Case(RESULTS, 0.05)
    with capture_logs() as lines:
        case.idle.start()
        async with asyncio.timeout(60):
            await case.ended.wait()
    assert [line["code"] for line in lines] == ["ERR-RFG-016"]


@in_loop
async def test_nothing_ends_a_node_without_a_time_out_or_one_that_stops_anyway() -> None:
    never = Case(NOTHING, 0.0)
    never.idle.start()
    never.idle.look()
    stopped = Case(NOTHING, 1e-9)
    stopped.idle.start()
    stopped.idle.stop()
    stopped.idle.look()
    await asyncio.sleep(0)
    assert not never.ended.is_set()
