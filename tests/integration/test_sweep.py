"""The sweep with real strays and a clock that is a number."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator

import pytest

from supervisor.sweep import LIMIT_S, PATIENCE_S, Sweep
from tests.conftest import eventually


@pytest.fixture
def strays() -> Iterator[list[int]]:
    """Two children of this process; the list is what the kernel would say."""
    started = [subprocess.Popen(["sleep", "300"]) for _ in range(2)]
    yield [process.pid for process in started]
    for process in started:
        process.kill()
        process.wait()


def sweep_of(strays: list[int]) -> Sweep:
    return Sweep(lambda _: [pid for pid in strays if os.path.exists(f"/proc/{pid}")])


def wait_for_a_death(sweep: Sweep) -> None:
    assert select.select(sweep.graves, [], [], 60)[0]


def test_where_nothing_was_left_the_sweep_is_over_at_once() -> None:
    sweep = sweep_of([])
    sweep.begin(0.0)
    assert sweep.collect((), 0.0) == ()
    assert not sweep.is_active
    assert sweep.collect((), 0.0) is None


def test_known_children_are_no_strays(strays: list[int]) -> None:
    sweep = sweep_of(strays)
    sweep.begin(0.0)
    assert sweep.collect(strays, 0.0) == ()


def test_strays_that_end_by_themselves_are_reaped(strays: list[int]) -> None:
    sweep = sweep_of(strays)
    sweep.begin(0.0)
    assert sweep.collect((), 0.0) is None
    assert sweep.deadline_s == PATIENCE_S
    for pid in strays:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: sweep.collect((), 0.1) == ())
    assert not any(os.path.exists(f"/proc/{pid}") for pid in strays)


def test_strays_are_killed_when_their_time_is_over_and_not_before(strays: list[int]) -> None:
    sweep = sweep_of(strays)
    sweep.begin(0.0)
    assert sweep.collect((), PATIENCE_S * 0.99) is None
    assert not sweep.killed
    assert sweep.collect((), PATIENCE_S) is None
    assert sweep.killed == set(strays)
    assert sweep.deadline_s == LIMIT_S
    wait_for_a_death(sweep)
    eventually(lambda: sweep.collect((), PATIENCE_S) == ())


def test_a_second_death_does_not_put_off_the_end(strays: list[int]) -> None:
    sweep = sweep_of(strays)
    sweep.begin(0.0)
    sweep.begin(PATIENCE_S / 2)
    assert sweep.deadline_s is not None
    sweep.collect((), PATIENCE_S)
    assert sweep.killed == set(strays)


def test_strays_that_do_not_die_keep_nobody_for_ever_and_are_named(strays: list[int]) -> None:
    sweep = sweep_of(strays)
    sweep.begin(0.0)
    assert sweep.collect((), 0.0) is None
    left = sweep.collect((), LIMIT_S)
    assert left is not None
    assert set(left) == set(strays)
    assert not sweep.is_active


def test_the_kernel_is_asked_again_until_it_names_none(strays: list[int]) -> None:
    """What a dying stray leaves behind falls to us only then."""
    first, second = strays
    named = [first]
    sweep = sweep_of(named)
    sweep.begin(0.0)
    assert sweep.collect((), 0.0) is None
    named.append(second)
    os.kill(first, signal.SIGKILL)
    wait_for_a_death(sweep)
    assert sweep.collect((), 0.1) is None
    assert len(sweep.graves) == 1
    os.kill(second, signal.SIGKILL)
    wait_for_a_death(sweep)
    assert sweep.collect((), 0.2) == ()
