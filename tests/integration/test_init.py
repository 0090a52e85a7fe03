"""The node as process 1, as in a container: it parts in two, and the first half is a good init."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.firsts import Foreign, command, ways
from tests.nodes import Node, is_alive, running, tree_of
from tests.orphans import helpers_with, new_mark

SETTINGS: dict[str, Any] = {
    "drain_grace": 60,
    "jobs": [{"event": "long", "cmd": "exec sleep 600"}, {"event": "quick", "cmd": "echo done"}],
    "execs": [{"key": "beside", "cmd": "exec sleep 601"}],
}
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Container:
    """A node, its process 1, and somebody else in there."""

    def __init__(self, node: Node, foreign: Foreign, way: str) -> None:
        self.node = node
        self.foreign = foreign
        self.first = node.pid if way == "subreaper" else children_of(node.pid)[0]
        self.second = next(pid for pid in children_of(self.first) if b"supervisor" in _command_line(pid))

    def end(self, within_s: float = 60) -> int:
        assert self.node.process is not None
        return self.node.process.wait(within_s)


@pytest.fixture(params=ways())
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Container]:
    foreign = Foreign(request.param, tmp_path)
    with running(tmp_path, SETTINGS, foreign.environ(), command(request.param)) as node:
        container = Container(node, foreign, request.param)
        yield container
        with suppress(ProcessLookupError):
            os.kill(container.second, signal.SIGKILL)
        foreign.close()
        container.end()


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _zombies(parent: int) -> list[int]:
    return [pid for pid in children_of(parent) if not is_alive(pid)]


def test_it_runs_jobs_and_a_stop_is_passed_on(container: Container) -> None:
    node = container.node
    task_id = node.submit("quick")
    assert node.await_status(task_id, "finish")
    below = tree_of(container.second)
    os.kill(container.first, signal.SIGTERM)
    assert container.end() == 0
    eventually(lambda: not any(map(is_alive, below)))


def test_its_exit_code_is_that_of_the_node(container: Container) -> None:
    container.node.await_status(container.node.submit("long"), "running")
    os.kill(container.first, signal.SIGTERM)
    eventually(lambda: "node.draining" in container.node.log.read_text())
    os.kill(container.first, signal.SIGINT)
    assert container.end() == 128 + signal.SIGINT


def test_the_node_killed_is_told_as_a_shell_tells_it(container: Container) -> None:
    os.kill(container.second, signal.SIGKILL)
    assert container.end() == 128 + signal.SIGKILL


def test_orphans_of_others_live_through_a_sweep_and_are_reaped_when_they_end(container: Container) -> None:
    mark = new_mark()
    container.foreign.run(container.first, f"(setsid sleep {mark} &)")
    orphan = eventually(lambda: helpers_with(mark))[0]
    eventually(lambda: orphan in children_of(container.first))
    os.kill(_session_leaders(container.second)[0], signal.SIGKILL)
    eventually(lambda: "child.swept" in container.node.log.read_text())
    assert is_alive(orphan)
    os.kill(orphan, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{orphan}").exists(), what="the orphan is reaped")


def _session_leaders(second: int) -> list[int]:
    """The children of the node: each leads a session, the forkserver between does not."""
    return [child for server in children_of(second) for child in children_of(server) if os.getsid(child) == child]


def test_thousands_of_orphans_are_reaped_and_cost_little(container: Container) -> None:
    mark = container.node.folder / "all"
    script = f"i=0; while [ $i -lt 1500 ]; do (sleep 0.2 & sleep 0.2 &); i=$((i+1)); done; : > {mark}"
    with suppress(FileNotFoundError):
        mark.unlink()
    container.foreign.run(container.first, script)
    eventually(mark.exists, within_s=120)
    eventually(lambda: len(children_of(container.first)) <= 2 and not _zombies(container.first), within_s=60)
    ticks = sum(map(int, Path(f"/proc/{container.first}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert ticks / CLOCK_TICKS < 5
    assert container.node.await_status(container.node.submit("quick"), "finish")
