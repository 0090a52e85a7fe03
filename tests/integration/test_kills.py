"""Nothing accepted is lost and nothing is left running, whichever process of the node is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running
from tests.orphans import SHAPES, helpers_with, new_mark, processes_with

WAIT = "echo begun >> {{task_id}}.ran; while [ ! -e go ]; do sleep 0.02; done; (setsid sleep {{mark}} &) ; sleep 0.01"
GONE_S = 10.0
"""Two seconds are promised (docs/guarantees.md), to a node that gets a processor in them."""
SETTINGS: dict[str, Any] = {
    "jobs": [
        {"event": "wait", "cmd": WAIT, "kill_grace": 0.2},
        {"event": "never", "cmd": "echo begun >> {{task_id}}.ran; exec sleep 600", "on_lost": "error"},
        {
            "event": "stay",
            "cmd": "(setsid sleep {{mark}} &); exec sleep {{mark}}",
            "kill_grace": 0.2,
            "on_lost": "error",
        },
    ],
    "execs": [{"key": "beat", "name": "beat", "cmd": "exec sleep 600"}],
    "limits": {"concurrency": 4},
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path, SETTINGS) as node:
        yield node


def zygote_of(child: int) -> int:
    (zygote,) = children_of(child)
    return zygote


def forkserver_of(node: Node) -> int:
    """The one child of the supervisor that has the room's processes below it."""
    worker = node.child_pid("worker")
    (forkserver,) = [pid for pid in children_of(node.pid) if worker in children_of(pid)]
    return forkserver


def kill_all(pids: Iterable[int]) -> None:
    """Kill one after the other. Who ends with the one before, as a child does with its node, may be gone already."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start_waiting(node: Node) -> tuple[str, str]:
    mark = new_mark()
    task_id = node.submit("wait", {"mark": mark})
    node.await_status(task_id, "running")
    eventually((node.folder / f"{task_id}.ran").exists)
    return task_id, mark


def finish(node: Node, task_id: str) -> dict[str, Any]:
    (node.folder / "go").touch()
    return node.await_status(task_id)


def times_run(node: Node, task_id: str) -> int:
    return len((node.folder / f"{task_id}.ran").read_text().split())


def test_a_job_whose_worker_is_killed_is_run_again_after_its_old_tree_is_gone(node: Node) -> None:
    task_id, mark = start_waiting(node)
    worker = node.child_pid("worker")
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: node.child_pid("worker") != worker)
    record = finish(node, task_id)
    assert (record["status"], record["attempt"]) == ("finish", 2)
    assert record["attempts"][0]["error"]["code"] == "ERR-RUN-020"
    assert times_run(node, task_id) == 2
    assert processes_with(mark) == []


def test_a_job_that_must_not_run_twice_is_reported_lost(node: Node) -> None:
    task_id = node.submit("never")
    eventually((node.folder / f"{task_id}.ran").exists)
    os.kill(node.child_pid("worker"), signal.SIGKILL)
    record = node.await_status(task_id)
    assert (record["status"], record["attempt"], record["error"]["code"]) == ("error", 1, "ERR-RUN-020")
    assert not (node.folder / f"{task_id}.json").exists()


def test_a_job_whose_keeper_is_killed_is_run_again(node: Node) -> None:
    task_id, mark = start_waiting(node)
    (keeper,) = children_of(zygote_of(node.child_pid("worker")))
    os.kill(keeper, signal.SIGKILL)
    eventually(lambda: times_run(node, task_id) == 2)
    record = finish(node, task_id)
    assert (record["status"], record["attempt"]) == ("finish", 2)
    assert processes_with(mark) == []


def test_a_job_whose_zygote_is_killed_is_run_again(node: Node) -> None:
    task_id, mark = start_waiting(node)
    os.kill(zygote_of(node.child_pid("worker")), signal.SIGKILL)
    eventually(lambda: times_run(node, task_id) == 2)
    assert finish(node, task_id)["status"] == "finish"
    assert processes_with(mark) == []


def test_killing_the_forkserver_harms_no_job(node: Node) -> None:
    task_id, _ = start_waiting(node)
    worker = node.child_pid("worker")
    os.kill(forkserver_of(node), signal.SIGKILL)
    record = finish(node, task_id)
    assert (record["status"], record["attempt"]) == ("finish", 1)
    assert node.child_pid("worker") == worker, "the job child lives on, and there is no second one"
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: node.child_pid("worker") != worker)
    assert node.await_status(node.submit("wait", {"mark": "1"}))["status"] == "finish"


def test_killing_the_execs_child_harms_no_job_and_brings_the_execs_back(node: Node) -> None:
    task_id, _ = start_waiting(node)
    before = beat_of(node)
    execs = node.child_pid("execs")
    os.kill(execs, signal.SIGKILL)
    eventually(lambda: not is_alive(before))
    eventually(lambda: beat_of(node) != before)
    assert finish(node, task_id)["attempt"] == 1


def beat_of(node: Node) -> int:
    """The pid of the exec, once it runs: a node may be ready, or have a new execs child, before that."""

    def pids() -> list[int]:
        status, answer = node.get("/execs")
        assert status == 200, answer
        return [entry["pid"] for entry in answer["execs"] if entry["state"] == "running"]

    (pid,) = eventually(pids, what="the exec runs")
    return pid


def test_a_hung_worker_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, {**SETTINGS, "heartbeat": {"interval": 0.5, "timeout": 5}}) as node:
        task_id, _ = start_waiting(node)
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGSTOP)
        eventually(lambda: not is_alive(worker), within_s=60)
        node.await_ready()
        assert finish(node, task_id)["status"] == "finish"


@pytest.mark.parametrize("room", ["supervisor", "supervisor and worker", "supervisor and forkserver"])
def test_killing_the_supervisor_leaves_nothing_and_loses_nothing(room: str, node: Node) -> None:
    task_id, mark = start_waiting(node)
    beat = beat_of(node)
    own = node.processes()
    victims = [node.pid]
    if "worker" in room:
        victims.append(node.child_pid("worker"))
    if "forkserver" in room:
        victims.append(forkserver_of(node))
    kill_all(victims)
    assert node.process is not None
    node.process.wait()
    eventually(lambda: not any(map(is_alive, [*own, beat])), within_s=GONE_S, what="no process is left")
    node.start()
    record = finish(node, task_id)
    assert (record["status"], record["attempt"]) == ("finish", 2)
    assert processes_with(mark) == []


def has_logged(node: Node, event: str) -> bool:
    return f'"{event}"' in node.log.read_text()


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_each_further_signal_stops_harder(signals: int, tmp_path: Path) -> None:
    stubborn = "trap '' TERM; echo begun; while :; do sleep 0.05; done"
    jobs = [{"event": "stubborn", "cmd": stubborn, "kill_grace": 1.0 if signals == 2 else 60}]
    with running(tmp_path, {"jobs": jobs, "drain_grace": 60}) as node:
        task_id = node.submit("stubborn")
        eventually(lambda: node.output(task_id) == b"begun\n")
        own = node.processes()
        assert node.process is not None
        for number in range(signals):
            node.process.send_signal(signal.SIGINT if number % 2 else signal.SIGTERM)
            if number + 1 < signals:
                step = ("node.draining", "node.cancelling")[number]
                eventually(partial(has_logged, node, step))  # of two signals at once either may be taken first
        if signals == 1:
            node.ask("POST", f"/jobs/{task_id}/cancel")
            return  # the job may hold the drain for a minute: that is what was asked for
        code = node.process.wait(60)
        assert code == 128 + (signal.SIGINT if signals == 2 else signal.SIGTERM)
        eventually(lambda: not any(map(is_alive, own)))


def test_a_second_node_on_the_same_state_folder_is_refused(node: Node) -> None:
    second = Node(node.folder, SETTINGS)
    second.log = node.folder / "second.log"
    second.start(ready=False)
    assert second.process is not None
    assert second.process.wait(60) not in (0, None)
    assert str(node.pid) in second.log.read_text()
    assert node.health()["supervisor"]["pid"] == node.pid


KILLS = {
    "normal end": (),
    "worker": ("worker",),
    "keeper": ("keeper",),
    "supervisor": ("supervisor",),
    "keeper and worker": ("keeper", "worker"),
    "supervisor and worker": ("supervisor", "worker"),
}


SHAPE_SETTINGS: dict[str, Any] = {
    # The text is the author's own here: the shapes are programs.
    "jobs": [{"event": "leave", "cmd": "{{{text}}}", "on_lost": "error"}],
    "limits": {"concurrency": 2},
    "execs": [],
}


@pytest.mark.timeout(900)  # a node is started five times
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("kill", KILLS)
def test_no_orphan_of_any_shape_survives(kill: str, jobs: int, tmp_path: Path) -> None:
    with running(tmp_path, SHAPE_SETTINGS) as node:
        for shape in SHAPES:
            if not is_alive(node.pid):
                node.start()
            node.await_ready()
            marks = [new_mark() for _ in range(jobs)]
            tasks = [_leave(node, shape, mark) for mark in marks]
            if kill == "normal end":
                (tmp_path / f"{tasks[0]}.go").touch()
                node.await_status(tasks[0])
                assert processes_with(marks[0]) == [], shape
                for mark in marks[1:]:
                    eventually(partial(helpers_with, mark), what="the other job's helpers, not ours to kill")
                (tmp_path / f"{tasks[-1]}.go").touch()
            else:
                kill_all(_victims(node, KILLS[kill]))
                assert node.process is not None
                if "supervisor" in kill:
                    node.process.wait()
            _await_none(shape, marks)


def _leave(node: Node, shape: str, mark: str) -> str:
    """Start a job that leaves processes of a shape behind, and wait until they are there."""
    text = f"{SHAPES[shape].replace('{mark}', mark)}\nwhile [ ! -e $JOB_ITEM_TASK_ID.go ]; do sleep 0.02; done"
    task_id = node.submit("leave", {"text": text})
    eventually(lambda: helpers_with(mark), what=f"{shape} has left its processes")
    return task_id


def _await_none(shape: str, marks: list[str]) -> None:
    eventually(lambda: not any(processes_with(mark) for mark in marks), within_s=GONE_S, what=f"no {shape} is left")


def _victims(node: Node, names: tuple[str, ...]) -> list[int]:
    worker = node.child_pid("worker")
    pids = {"supervisor": [node.pid], "worker": [worker], "keeper": children_of(zygote_of(worker))}
    return [pid for name in names for pid in pids[name]]
