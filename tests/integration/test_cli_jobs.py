from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_item.job import Status, is_task_id
from tests.conftest import eventually
from tests.desks import Served, serve
from tests.terminal import Shell, ended_job, environment


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def node(shell: Shell) -> Iterator[Served]:
    with serve() as served:
        shell.knows(served)
        yield served


def test_submit_prints_the_task_id_and_what_to_do_next(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "hello", "name=Ada", "count:=3")
    task_id = ended.out.decode().strip()
    assert ended.code == 0
    assert is_task_id(task_id)
    assert f"job_item logs {task_id} -f" in ended.err
    assert [(request.event, request.data) for request in node.desk.requests] == [("hello", {"name": "Ada", "count": 3})]


def test_submit_takes_data_from_standard_input_and_answers_in_json(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "hello", "--data", "-", "--json", "--task-id", "mine", stdin=b'["x", 1]')
    assert ended.json["task_id"] == "mine"
    assert ended.json["status"] == "queued"
    assert node.desk.requests[0].data == ["x", 1]


def test_a_refused_job_ends_with_the_nodes_own_words(shell: Shell, node: Served) -> None:
    ended = shell.run("submit", "nonsense")
    assert ended.code == 2
    assert ended.out == b""
    assert ended.err.splitlines() == [
        "error: No job is configured for event 'nonsense'. [ERR-JOB-001]",
        "  Use an event of `jobs` in the configuration file.",
    ]


def test_a_full_queue_is_unavailable(shell: Shell, node: Served) -> None:
    node.desk.queue = 0
    ended = shell.run("submit", "hello")
    assert ended.code == 69
    assert "ERR-JOB-004" in ended.err


def test_follow_writes_both_streams_apart_as_raw_bytes(shell: Shell, node: Served) -> None:
    ended_job(node)
    with shell.start("submit", "hello", "--task-id", "T1", "--follow") as running:
        ended = running.end()
        raw_err = bytes(running.err) if False else None
    assert raw_err is None
    assert ended.code == 0
    assert ended.out == b"one\nthree\n"
