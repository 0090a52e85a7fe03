"""The core of a node on the portable path, with real nodes. What does not hold there stands in docs/platforms.md."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running, tree_of
from tests.orphans import new_mark, processes_with

PORTABLE = {"JOB_ITEM_PORTABLE": "1"}
MARK = new_mark()
TREE = f"sleep {MARK} & sleep {MARK} & "
SETTINGS: dict[str, Any] = {
    "jobs": [
        {"event": "greet", "cmd": "echo hello {{name}}; echo oops >&2; cat $JOB_ITEM_TASK_ID.json"},
        {"event": "argv", "cmd": ["printf", "%s", "{{name}}"]},
        {"event": "fail", "cmd": "echo x >> tries; exit 3", "retries": {"attempts": 3, "backoff": 0.01}},
        {"event": "long", "cmd": TREE + f"sleep {MARK}", "kill_grace": 0.5},
        {"event": "deaf", "cmd": TREE + f"trap '' TERM; sleep {MARK}; sleep {MARK}", "kill_grace": 0.3},
        {"event": "late", "cmd": TREE + f"sleep {MARK}", "timeout": 0.3, "kill_grace": 0.3},
        {"event": "leaves", "cmd": TREE + "echo left"},
        {"event": "nice", "cmd": "nice", "resources": {"nice": 5, "open_files": 100}},
    ],
    "execs": [{"key": "beside", "cmd": f"echo up; {TREE} sleep {MARK}"}],
    "drain_grace": 60,
    "heartbeat": {"interval": 5, "timeout": 60},
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path, SETTINGS, PORTABLE) as node:
        yield node


def of_jobs(node: Node) -> list[int]:
    """What runs for jobs: all with our mark but for what the exec has."""
    exec_pid = exec_state(node)["pid"]
    assert exec_pid is not None, "whose processes are not those of a job"
    return [pid for pid in processes_with(MARK) if not _in_group(pid, exec_pid)]


def _in_group(pid: int, leader: int) -> bool:
    try:
        return os.getpgid(pid) == leader
    except ProcessLookupError:
        return True


def exec_state(node: Node) -> dict[str, Any]:
    state: dict[str, Any] = node.get("/execs")[1]["execs"][0]
    return state


def handles_of(pid: int) -> list[str]:
    """What a process has open; it may close some of that, or end, while we look."""
    found = []
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(os.readlink(path))
    return found


def test_it_is_the_portable_path_down_to_the_keepers(node: Node) -> None:
    node.await_status(node.submit("greet"))
    children = [pid for pid in children_of(node.pid) if is_alive(pid)]
    assert node.child_pid("worker") in children, "no forkserver stands between"
    zygote = children_of(node.child_pid("worker"))[0]
    assert b"JOB_ITEM_PORTABLE=1" in Path(f"/proc/{zygote}/environ").read_bytes()
    handles = [handle for pid in node.processes() for handle in handles_of(pid)]
    assert handles and not [handle for handle in handles if "pidfd" in handle]


def test_a_job_runs_with_its_output_and_its_task_file(node: Node) -> None:
    task_id = node.submit("greet", {"name": "you & me"})
    assert node.await_status(task_id)["status"] == "finish"
    output = node.output(task_id)
    assert output.startswith(b"hello you & me\n")
    assert b"oops\n" in output, "wherever: it comes through a pipe of its own"
    assert json.loads(output.replace(b"oops\n", b"").splitlines()[-1])["name"] == "you & me"
    assert not (node.folder / f"{task_id}.json").exists()
    other = node.submit("argv", {"name": "a b"})
    node.await_status(other)
    assert node.output(other) == b"a b"


def test_limits_and_niceness_are_set(node: Node) -> None:
    task_id = node.submit("nice")
    assert node.await_status(task_id)["status"] == "finish"
    assert int(node.output(task_id)) - os.nice(0) == 5


def test_a_failure_is_tried_again(node: Node) -> None:
    record = node.await_status(node.submit("fail"))
    assert (record["status"], record["attempt"]) == ("error", 3)
    assert (node.folder / "tries").read_text() == "x\n" * 3


@pytest.mark.parametrize(("event", "status"), [("long", "terminate"), ("deaf", "terminate"), ("late", "timeout")])
def test_cancel_and_time_out_end_all_of_the_group(node: Node, event: str, status: str) -> None:
    task_id = node.submit(event)
    if status == "terminate":
        eventually(lambda: len(of_jobs(node)) >= 3)
        assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
    assert node.await_status(task_id)["status"] == status
    eventually(lambda: not of_jobs(node), within_s=20)


def test_what_a_job_leaves_in_its_group_is_gone_with_it(node: Node) -> None:
    assert node.await_status(node.submit("leaves"))["status"] == "finish"
    eventually(lambda: not of_jobs(node), within_s=20)


def test_many_jobs_at_once(node: Node) -> None:
    tasks = [node.submit("greet", {"name": number}) for number in range(60)]
    assert {node.await_status(task_id)["status"] for task_id in tasks} == {"finish"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_job_child_that_dies_is_replaced_and_its_job_runs_again(node: Node, number: int) -> None:
    task_id = node.submit("long")
    eventually(lambda: len(of_jobs(node)) >= 3)
    first, worker = of_jobs(node), node.child_pid("worker")
    os.kill(worker, number)
    eventually(lambda: node.job(task_id)["attempt"] == 2)
    eventually(lambda: not any(map(is_alive, first)), what="the tree of the first attempt is gone")
    assert node.child_pid("worker") != worker


def test_an_exec_is_kept_alive_and_ends_with_the_node(node: Node) -> None:
    first = eventually(lambda: exec_state(node)["pid"])
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: (pid := exec_state(node)["pid"]) != first and pid)
    assert node.stop() == 0
    eventually(lambda: not is_alive(second))
    assert processes_with(MARK) == []


def test_a_hung_child_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path, {"heartbeat": {"interval": 0.2, "timeout": 20}}, PORTABLE) as node:  # a birth takes seconds
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGSTOP)
        eventually(lambda: "child.hung" in node.log.read_text(), within_s=90)  # who asks before waits for an answer
        node.await_ready()
        assert node.child_pid("worker") != worker


def test_the_ladder_of_a_stop(node: Node) -> None:
    node.submit("deaf")
    eventually(lambda: len(of_jobs(node)) >= 3)
    os.kill(node.pid, signal.SIGTERM)
    eventually(lambda: "node.draining" in node.log.read_text())
    assert node.stop(signal.SIGINT) == 128 + signal.SIGINT
    eventually(lambda: not processes_with(MARK), what="what was killed and is not ours to reap is gone")


def test_nothing_is_left_when_the_parent_is_killed_and_the_job_runs_again(node: Node) -> None:
    task_id = node.submit("long")
    eventually(lambda: len(of_jobs(node)) >= 3)
    below = tree_of(node.pid)[1:]
    assert node.process is not None
    node.process.kill()
    node.process.wait()
    eventually(lambda: not any(map(is_alive, below)))
    node.start()
    eventually(lambda: node.job(task_id)["attempt"] == 2)


def test_a_dump_is_written(node: Node) -> None:
    os.kill(node.pid, signal.SIGUSR1)
    eventually(lambda: "node.dumped" in node.log.read_text() and "worker.dumped" in node.log.read_text())
