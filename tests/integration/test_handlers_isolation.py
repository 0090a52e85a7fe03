"""What a handler does to its process costs its own job only: each time a second job runs beside it, unharmed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from job_item.process import parent_of
from tests import handlers
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running, tree_of
from tests.pools import command_line

JOBS: list[dict[str, Any]] = [
    {"event": "small", "handler": "DO", "resources": {"memory": "1 GiB"}},
    {"event": "short", "handler": "DO", "timeout": 3, "kill_grace": 0.3},
    {"event": "calm", "handler": "DO", "kill_grace": 0.5},
    {"event": "kind", "handler": "DO", "kill_grace": 100},
    {"event": "again", "handler": "DO", "retries": {"attempts": 2, "backoff": 0}},
    {"event": "costly", "handler": "WHO", "resources": {"cpu_time": 100}},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("handlers")
    handlers.write(folder)
    settings = {"handlers": ["acts.py"], "jobs": JOBS, "limits": {"concurrency": 4}}
    with running(folder, settings) as node:
        yield node


@contextmanager
def beside(node: Node) -> Iterator[None]:
    """Another job, which runs meanwhile, and then ends well in the process in which it has begun."""
    path = node.folder / str(uuid4())
    task_id = node.submit("GATE", {"path": str(path)})
    eventually(lambda: b"waiting" in node.output(task_id), what="the other job runs")
    yield
    assert node.job(task_id)["status"] == "running"
    path.touch()
    job = node.await_status(task_id)
    assert (job["status"], job["attempt"], node.output(task_id)) == ("finish", 1, b"waiting\n")


def has_begun(node: Node, task_id: str) -> bool:
    return b"waiting" in node.output(task_id)


def start(node: Node, event: str, what: str) -> tuple[str, int]:
    """Start a job; its task id, and the process that it is in."""
    path = node.folder / str(uuid4())
    task_id = node.submit(event, {"what": what, "pid": str(path)})
    eventually(lambda: path.exists() and path.read_text(), what="the job has begun")
    return task_id, int(path.read_text())


def test_a_segmentation_fault_costs_its_job(node: Node) -> None:
    with beside(node):
        job = node.await_status(node.submit("DO", {"what": "segfault"}))
        assert (job["status"], job["error"]["code"]) == ("error", "ERR-HND-014")
        assert job["attempts"][0]["signal"] == signal.SIGSEGV


def test_os_exit_costs_its_job(node: Node) -> None:
    with beside(node):
        job = node.await_status(node.submit("DO", {"what": "exit"}))
        assert (job["status"], job["error"]["code"], job["exit_code"]) == ("error", "ERR-HND-014", 3)


def test_a_job_whose_process_died_is_retried_in_another(node: Node) -> None:
    assert node.await_status(node.submit("again", {"what": "exit"}))["attempt"] == 2


def test_an_allocation_beyond_the_limit_costs_its_job(node: Node) -> None:
    with beside(node):
        job = node.await_status(node.submit("small", {"what": "allocate"}))
        assert (job["status"], job["error"]["message"]) == ("error", "The handler raised MemoryError.")
    assert node.await_status(node.submit("small", {"what": "fine"}))["output"] == "fine"


def test_an_endless_loop_in_c_ends_at_its_timeout(node: Node) -> None:
    with beside(node):
        task_id, pid = start(node, "short", "spin")
        job = node.await_status(task_id)
        assert (job["status"], job["error"]["code"]) == ("timeout", "ERR-RUN-007")
        assert job["duration_s"] < 60
        assert not is_alive(pid)


def test_a_grandchild_that_was_left_behind_is_dead_when_the_job_has_ended(node: Node) -> None:
    with beside(node):
        job = node.await_status(node.submit("DO", {"what": "fork"}))
        assert job["status"] == "finish"
        assert not is_alive(int(job["output"]))


def test_a_cancelled_handler_that_looks_may_put_things_in_order(node: Node) -> None:
    with beside(node):
        task_id, pid = start(node, "kind", "obey")
        asked = time.monotonic()
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
        assert node.await_status(task_id)["status"] == "terminate"
        assert time.monotonic() - asked < 50  # after 60 s it would have ended unasked
        assert node.output(task_id) == b"in order\n"
        assert not is_alive(pid)


@pytest.mark.parametrize("what", ["ignore", "spin"])
def test_a_cancelled_handler_that_does_not_look_is_killed_after_its_grace(node: Node, what: str) -> None:
    with beside(node):
        task_id, pid = start(node, "calm", what)
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
        assert node.await_status(task_id)["status"] == "terminate"
        assert not is_alive(pid)


def test_a_job_that_was_cancelled_while_it_waits_never_begins(node: Node) -> None:
    path = node.folder / str(uuid4())
    busy = [node.submit("GATE", {"path": str(path)}) for _ in range(4)]
    for task_id in busy:
        eventually(partial(has_begun, node, task_id), what="each slot is held")
    waiting = node.submit("DO", {"what": "fine", "pid": str(path) + ".pid"})
    assert node.ask("POST", f"/jobs/{waiting}/cancel")[0] == 200
    path.touch()
    assert node.await_status(waiting)["status"] == "terminate"
    assert [node.await_status(task_id)["status"] for task_id in busy] == ["finish"] * 4
    assert not Path(str(path) + ".pid").exists()


def test_a_process_that_is_killed_from_outside_costs_its_job(node: Node) -> None:
    with beside(node):
        task_id, pid = start(node, "DO", "obey")
        os.kill(pid, signal.SIGKILL)
        job = node.await_status(task_id)
        assert (job["status"], job["error"]["code"]) == ("error", "ERR-HND-014")


def test_a_job_with_a_limit_of_processor_time_has_a_process_of_its_own(node: Node) -> None:
    first, second = (node.await_status(node.submit("costly"))["output"] for _ in range(2))
    assert (first[1], second[1], first[0] == second[0]) == (1, 1, False)


def test_a_process_is_replaced_after_so_many_jobs(tmp_path: Path) -> None:
    handlers.write(tmp_path)
    settings = {"handlers": ["acts.py"], "recycle": {"jobs": 3}, "limits": {"concurrency": 1}}
    with running(tmp_path, settings) as node:
        told = [node.await_status(node.submit("WHO"))["output"] for _ in range(7)]
        assert [asked for _, asked in told] == [1, 2, 3, 1, 2, 3, 1]
        assert len({pid for pid, _ in told}) == 3


def test_a_process_that_holds_too_much_memory_is_replaced(tmp_path: Path) -> None:
    handlers.write(
        tmp_path, "KEPT = []\ndef keep(given: dict) -> int:\n    KEPT.append(b'x' * (64 << 20))\n    return len(KEPT)\n"
    )
    jobs = [{"event": "keep", "handler": "acts:keep"}]
    with running(tmp_path, {"jobs": jobs, "recycle": {"memory": "150 MiB"}, "limits": {"concurrency": 1}}) as node:
        told = [node.await_status(node.submit("keep"))["output"] for _ in range(5)]
        assert told == [1, 2, 1, 2, 1]


def test_the_death_of_the_job_child_ends_its_handlers_and_runs_them_again(tmp_path: Path) -> None:
    handlers.write(tmp_path)
    jobs = [{"event": "lost", "handler": "DO", "on_lost": "error"}]
    with running(tmp_path, {"handlers": ["acts.py"], "jobs": jobs}) as node:
        gate = tmp_path / "gate"
        again = node.submit("GATE", {"path": str(gate)})
        eventually(lambda: b"waiting" in node.output(again), what="it runs")
        lost, pid = start(node, "lost", "ignore")
        below = tree_of(node.child_pid("worker"))
        assert pid in below
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        node.await_ready()
        eventually(lambda: not any(map(is_alive, below)), what="all processes are gone")
        assert node.await_status(lost)["error"]["code"].startswith("ERR-RUN-")
        gate.touch()
        job = node.await_status(again)
        assert (job["status"], job["attempt"]) == ("finish", 2)


def test_a_nursery_that_is_killed_is_replaced_and_its_jobs_run_again(tmp_path: Path) -> None:
    handlers.write(tmp_path)
    with running(tmp_path, {"handlers": ["acts.py"]}) as node:
        gate = tmp_path / "gate"
        task_id = node.submit("GATE", {"path": str(gate)})
        eventually(lambda: b"waiting" in node.output(task_id), what="it runs")
        os.kill(nursery_of(node), signal.SIGKILL)
        gate.touch()
        job = node.await_status(task_id)
        assert job["status"] == "finish"
        assert node.await_status(node.submit("WHO"))["output"][1] == 1


def test_the_end_of_the_node_lets_handlers_end_and_then_ends_them(tmp_path: Path) -> None:
    handlers.write(tmp_path)
    jobs = [{"event": "calm", "handler": "DO", "kill_grace": 0.3}]
    with running(tmp_path, {"handlers": ["acts.py"], "jobs": jobs, "drain_grace": 0.5}) as node:
        _, pid = start(node, "calm", "ignore")
        below = node.processes()
        assert pid in below
        assert node.stop() == 0
        assert not any(map(is_alive, below))


def test_an_edit_and_the_death_of_a_nursery_harm_no_command(tmp_path: Path) -> None:
    """Both end a nursery; what else runs below the job child is none of its business."""
    handlers.write(tmp_path)
    gate = tmp_path / "gate"
    jobs = [{"event": "command", "cmd": f"echo waiting; until [ -e {gate} ]; do sleep 0.05; done"}]
    with running(tmp_path, {"handlers": ["acts.py"], "jobs": jobs}) as node:
        command = node.submit("command")
        eventually(lambda: b"waiting" in node.output(command), what="the command runs")
        first = node.await_status(node.submit("WHO"))["output"][0]
        handlers.write(tmp_path, handlers.SOURCE + "\n# edited\n")
        assert node.ask("POST", "/reload")[0] == 200
        eventually(lambda: not is_alive(first), within_s=60, what="the old nursery is gone")
        assert node.await_status(node.submit("WHO"))["status"] == "finish"
        below = tree_of(nursery_of(node))
        os.kill(below[0], signal.SIGKILL)
        eventually(lambda: not any(map(is_alive, below)), what="the nursery and its hands are gone")
        handler = node.submit("GATE", {"path": str(gate)})
        eventually(lambda: b"waiting" in node.output(handler), what="the handler runs")
        gate.touch()
        assert (node.await_status(command)["status"], node.job(command)["attempt"]) == ("finish", 1)
        assert (node.await_status(handler)["status"], node.job(handler)["attempt"]) == ("finish", 1)


def nursery_of(node: Node) -> int:
    """The process that has loaded the handlers, once no older one is left; its keepers and hands bear its name, too."""

    def heads() -> list[int]:
        pids = [pid for pid in tree_of(node.child_pid("worker")) if b"handlers.nursery" in command_line(pid)]
        found = [pid for pid in pids if parent_of(pid) not in pids]
        return found if len(found) == 1 else []

    (nursery,) = eventually(heads, what="there is one nursery")
    return nursery
