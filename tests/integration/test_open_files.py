"""The node may open as many files as the system lets it; its jobs and execs keep the limit that it was started with."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import Node, running

SOFT = 200
SETTINGS = {
    "jobs": [{"event": "ask", "cmd": "ulimit -Sn; ulimit -Hn"}],
    "execs": [{"key": "ask", "cmd": "ulimit -Sn > soft; sleep 600"}],
}


@pytest.fixture
def hard() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_the_children_raise_their_limit_and_jobs_and_execs_get_the_old_one(tmp_path: Path, hard: int) -> None:
    limited = ("sh", "-c", f'ulimit -Sn {SOFT}; exec "$@"', "sh", sys.executable, "-m", "supervisor")
    with running(tmp_path, SETTINGS, command=limited) as node:
        worker = node.child_pid("worker")
        assert resource.prlimit(worker, resource.RLIMIT_NOFILE) == (hard, hard)
        assert limits_of_a_job(node) == [SOFT, hard]
        soft = tmp_path / "soft"
        eventually(lambda: soft.exists() and soft.read_text().split() == [str(SOFT)])
        (zygote,) = (pid for pid in children_of(worker) if "zygote" in command_line(pid))
        os.kill(zygote, signal.SIGKILL)
        eventually(lambda: zygote not in children_of(worker))
        assert limits_of_a_job(node) == [SOFT, hard]
        assert node.child_pid("worker") == worker


def limits_of_a_job(node: Node) -> list[int]:
    task_id = node.submit("ask")
    node.await_status(task_id, "finish")
    return [int(line) for line in node.output(task_id).split()]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
