"""Who waits for whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execs.policy import Life, Rules
from execs.tables import Stage
from execs.tree import is_met, may_end, unmet
from job_item.execspec import Condition, Exec

PLAIN = Life(Rules.of(Exec(key="k", cmd="x")))
PROBED = Life(Rules.of(Exec.model_validate({"key": "k", "cmd": "x", "ready": {"tcp": 1}, "health": {"tcp": 1}})))


@pytest.mark.parametrize(
    ("condition", "life", "met"),
    [
        ("started", replace(PLAIN, stage=Stage.STARTING), False),
        ("started", replace(PLAIN, stage=Stage.RUNNING), True),
        ("started", replace(PLAIN, stage=Stage.DONE), True),
        ("started", replace(PLAIN, stage=Stage.STOPPED), False),
        ("ready", replace(PROBED, stage=Stage.RUNNING), False),
        ("ready", replace(PROBED, stage=Stage.RUNNING, is_ready=True), True),
        ("ready", replace(PROBED, stage=Stage.DONE), False),
        ("ready", replace(PLAIN, stage=Stage.RUNNING, is_ready=True), True),
        ("ready", replace(PLAIN, stage=Stage.DONE), True),
        ("healthy", replace(PROBED, stage=Stage.RUNNING), False),
        ("healthy", replace(PROBED, stage=Stage.RUNNING, health="healthy"), True),
        ("healthy", replace(PROBED, stage=Stage.FAILING, health="unhealthy"), False),
        ("completed", replace(PLAIN, stage=Stage.RUNNING), False),
        ("completed", replace(PLAIN, stage=Stage.DONE), True),
        ("completed", replace(PLAIN, stage=Stage.STOPPED), False),
        ("completed", replace(PLAIN, stage=Stage.FAILED), False),
    ],
)
def test_a_condition_is_met_by_a_stage(condition: Condition, life: Life, met: bool) -> None:
    assert is_met(condition, life) is met


def test_what_is_waited_for_is_said_in_words() -> None:
    lives = {"a": replace(PLAIN, stage=Stage.FAILED), "b": PLAIN, "c": replace(PLAIN, stage=Stage.RUNNING)}
    wants: dict[str, Condition] = {"a": "completed", "b": "healthy", "c": "started"}
    assert unmet(wants, lives) == "waits: a has failed, b is not healthy"
    assert unmet({"c": "started"}, lives) is None


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_all_come_to_their_end_dependents_always_before_what_they_depend_on(
    size: int, arrows: list[tuple[int, int]]
) -> None:
    keys = [str(number) for number in range(size)]
    needs = {key: [str(low) for high, low in arrows if str(high) == key and low < high] for key in keys}
    left = set(keys)
    while left:
        free = may_end(left, needs)
        assert free
        for key in free:
            assert not any(key in needs[other] for other in left)
        left -= free


def test_the_order_holds_also_over_one_that_does_not_run() -> None:
    assert may_end({"top", "base"}, {"top": ["middle"], "middle": ["base"]}) == {"top"}


def test_a_circle_ends_all_the_same() -> None:
    assert may_end({"a", "b"}, {"a": ["b"], "b": ["a"]}) == {"a", "b"}
