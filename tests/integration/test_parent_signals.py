"""The parent and its signals: drain, cancel, kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.children import trace_of
from tests.conftest import eventually
from tests.parents import EXECS, Start, starting

PATIENT = {"jobs": [{"event": "hello", "cmd": "true", "kill_grace": 600}], "drain_grace": 600}
"""What ends soon with these was killed at once: all else would take ten minutes."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as begin:
        yield begin


def test_the_first_signal_drains_the_worker_and_then_the_execs(start: Start) -> None:
    node = start(settings={"execs": EXECS, "drain_grace": 7})
    node.ready()
    node.ready(room="execs")
    node.signal(signal.SIGTERM)
    assert node.end() == 0
    order = [line.split()[0] for line in trace_of(node.state_dir) if " drain " in line]
    assert order == ["worker", "execs"]
    assert node.trace("worker", "drain")[0][1] == "7.000"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_cancels_and_shows_in_the_exit_code(start: Start, number: int) -> None:
    node = start("deaf_to_drain", settings={"execs": EXECS})
    node.ready()
    node.ready(room="execs")
    node.signal(signal.SIGTERM)
    eventually(lambda: node.trace("worker", "drain"))
    node.signal(number)
    assert node.end() == 128 + number
    assert node.trace("worker", "cancel")
    assert node.trace("execs", "cancel")


def test_the_third_signal_kills_at_once(start: Start) -> None:
    node = start("deaf", settings=PATIENT)
    node.ready()
    for word in ("drain", "cancel"):
        node.signal(signal.SIGINT)
        eventually(partial(node.trace, "worker", word))
    node.signal(signal.SIGINT)
    assert node.end() == 130


def test_signals_that_come_all_at_once_are_each_counted(start: Start) -> None:
    node = start("deaf", settings=PATIENT)
    node.ready()
    os.kill(node.pid, signal.SIGSTOP)
    node.signal(signal.SIGTERM)
    node.signal(signal.SIGINT)
    os.kill(node.pid, signal.SIGCONT)
    eventually(lambda: node.trace("worker", "cancel"))
    node.signal(signal.SIGTERM)
    assert node.end() == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_of_the_terminal_is_one_drain(start: Start, number: int) -> None:
    node = start(settings={"execs": EXECS})
    node.ready()
    node.ready(room="execs")
    os.killpg(node.pid, number)
    assert node.end() == 0
    assert len(node.trace("worker", "drain")) == len(node.trace("execs", "drain")) == 1
    assert node.told() == ""


def test_ctrl_c_right_after_the_start_is_a_clean_stop(start: Start) -> None:
    node = start(settings={"execs": EXECS})
    eventually(lambda: node.logged("node.started"))
    os.killpg(node.pid, signal.SIGINT)
    assert node.end() == 0
    assert node.told() == ""
