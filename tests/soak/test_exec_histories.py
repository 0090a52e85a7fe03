"""Random lives of execs on a fake clock, many of them: the limit, the pauses and the orders hold in each."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.exec_histories import live_through

COUNTS = {"quick": 2_000, "night": 100_000}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_history_breaks_a_promise_of_the_restart_policy(tier: Literal["quick", "night"]) -> None:
    assert live_through(histories=COUNTS[tier], steps=100, seed=1_000_000) > 2 * COUNTS[tier]
