"""Reload: children that come, go and are replaced; addresses and state folders that change."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from job_item.errors import NodeError
from job_item.state import StateFolder
from tests.conftest import eventually, free_port
from tests.parents import NO_BEATS, ask
from tests.reloading import EXECS, JOBS, Start, starting, stop


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as begin:
        yield begin


def test_the_execs_child_comes_with_the_first_exec_and_goes_with_the_last(start: Start) -> None:
    node = start({"jobs": JOBS})
    worker = node.ready()
    node.edit(execs=EXECS)
    execs = node.ready(room="execs")
    eventually(lambda: [str(worker), str(worker), str(execs), "0"] in node.trace("worker", "state"))
    node.edit(execs=None)
    eventually(lambda: node.logged("child.ended", child="execs", exit_code=0))
    eventually(lambda: node.trace("worker", "state")[-1] == [str(worker), str(worker), "None", "0"])
    node.edit(execs=EXECS)
    node.ready(2, room="execs")
    assert node.births() == [worker]
    stop(node)


def test_what_a_job_child_cannot_take_over_replaces_it_when_its_jobs_have_ended(start: Start) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    first, execs = node.ready(), node.ready(room="execs")
    (node.state_dir / "busy").touch()
    node.edit(api={"port": 0, "token": "correct-horse"})
    effects = ("restarts the job child", "restarts the execs that see it")
    assert node.applied()["changes"] == [{"path": "api.token", "kind": "changed", "effect": word} for word in effects]
    eventually(lambda: node.trace("worker", "retire"))
    node.edit(jobs=[])  # a newer one comes meanwhile
    newest = node.applied(2)["digest"]
    assert node.births() == [first]
    (node.state_dir / "busy").unlink()
    second = node.ready(2)
    assert node.logged("child.retired", pid=first)
    assert not node.logged("child.died")
    eventually(lambda: node.token() == "correct-horse")
    eventually(lambda: node.trace("execs", "adopted")[-1] == [str(execs), newest])
    assert (node.births(), node.births("execs")) == ([first, second], [execs])
    assert "correct-horse" not in node._log.read_text()
    stop(node)


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_a_stop_while_a_child_retires_ends_the_node(start: Start, signals: int) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    (node.state_dir / "busy").touch()
    node.edit(work_dir=str(node.config.parent.parent))
    eventually(lambda: node.trace("worker", "retire"))
    for _ in range(signals):
        node.signal(signal.SIGTERM)
    assert node.end() in (0, 128 + signal.SIGTERM)
    assert len(node.births()) == 1


def test_a_retiring_child_that_crashes_has_a_successor_with_the_new_settings(start: Start) -> None:
    node = start({"jobs": JOBS})
    first = node.ready()
    (node.state_dir / "busy").touch()
    node.edit(sync="full")
    eventually(lambda: node.trace("worker", "retire"))
    os.kill(first, signal.SIGKILL)
    node.ready(2)
    assert node.logged("child.died", pid=first)
    node.applied()
    assert len(node.births()) == 2


def test_a_new_port_is_bound_first_and_the_old_one_closed_afterwards(start: Start) -> None:
    node = start({"jobs": JOBS, "heartbeat": NO_BEATS}, worker="answers")
    first = node.ready()
    old, port = node.url(), free_port()
    node.edit(api={"port": port})
    node.applied()
    assert ask(old) == first
    os.kill(first, signal.SIGKILL)  # this child of the tests knows nothing of retiring
    second = node.ready(2)
    eventually(lambda: node.url().endswith(f":{port}"))
    assert ask(node.url()) == second
    eventually(lambda: node.logged("api.moved", url=f"http://127.0.0.1:{port}"))
    with pytest.raises(ConnectionRefusedError):
        ask(old)


def test_a_taken_port_is_a_fault_and_the_old_one_stays(start: Start) -> None:
    node = start({"jobs": JOBS, "heartbeat": NO_BEATS}, worker="answers")
    first = node.ready()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        node.edit(api={"port": taken.getsockname()[1]})
        assert node.rejected()["code"] == "ERR-SUP-008"
    assert ask(node.url()) == first
    assert node.births() == [first]


def test_another_address_with_the_same_port_and_back(start: Start) -> None:
    port = free_port()
    node = start({"jobs": JOBS, "api": {"port": port}})
    node.ready()
    for number, host in enumerate(("127.0.0.2", "127.0.0.1"), 1):
        node.edit(api={"port": port, "host": host})
        node.applied(number)
        node.ready(number + 1)
        eventually(partial(node.is_at, f"http://{host}:{port}"))
    stop(node)


def test_a_port_that_is_taken_back_while_the_child_still_retires(start: Start) -> None:
    node = start({"jobs": JOBS, "api": {"port": (first := free_port())}})
    node.ready()
    (node.state_dir / "busy").touch()
    node.edit(api={"port": free_port()})
    node.applied(1)
    node.edit(api={"port": first})
    node.applied(2)
    (node.state_dir / "busy").unlink()
    node.ready(2)
    assert node.url().endswith(f":{first}")
    stop(node)


def test_a_new_state_folder_is_locked_first_and_the_old_one_let_go_at_the_end(start: Start, tmp_path: Path) -> None:
    node = start({"jobs": JOBS, "execs": EXECS})
    node.ready()
    node.ready(room="execs")
    other = tmp_path / "state"
    node.edit(state_dir=str(other))
    effects = [change["effect"] for change in node.applied()["changes"] if change["path"] == "state_dir"]
    assert effects == ["restarts the job child", "restarts the execs child"]
    for room in ("worker", "execs"):
        eventually(partial(node.is_ready_at, other, room))
    eventually((other / "node.json").exists)
    info = StateFolder(other).read_node()
    assert info is not None
    assert info.pid == node.pid
    assert (other / "node.lock").read_text().strip() == str(node.pid)
    eventually(lambda: not (node.state_dir / "node.json").exists())
    eventually(partial(is_free, StateFolder(node.state_dir)), what="its lock is let go")
    stop(node)
    assert not (other / "node.json").exists()


def is_free(folder: StateFolder) -> bool:
    """Whether no node has the folder."""
    try:
        folder.lock("node").release()
    except NodeError:
        return False
    return True


def test_a_node_whose_new_state_folder_waits_for_a_job_is_found_through_both_folders(
    start: Start, tmp_path: Path
) -> None:
    node = start({"jobs": JOBS})
    node.ready()
    (node.state_dir / "busy").touch()
    before, other = StateFolder(node.state_dir).read_node(), StateFolder(tmp_path / "state")
    node.edit(state_dir=str(other.path))
    node.applied()
    assert before is not None
    assert other.read_node() == before
    assert StateFolder(node.state_dir).read_node() == before
    (node.state_dir / "busy").unlink()
    eventually(lambda: not (node.state_dir / "node.json").exists())
    assert other.read_node() is not None
    stop(node)


def test_doubts_that_were_told_are_not_told_again(start: Start) -> None:
    node = start()
    node.ready()
    for number, command in enumerate(("ls {{name}}", "ls {{name}}", "ls -l {{name}}"), start=1):
        node.edit(jobs=[{"event": "list", "cmd": command, "timeout": number}])
        node.applied(number)
    assert len(node.logged("settings.doubted")) == 2
    stop(node)


def test_a_state_folder_in_use_is_a_fault(start: Start, tmp_path: Path) -> None:
    node = start({"jobs": JOBS})
    worker = node.ready()
    other = tmp_path / "state"
    other.mkdir(mode=0o700)
    lock = StateFolder(other).lock("node")
    node.edit(state_dir=str(other))
    assert node.rejected()["code"] == "ERR-SUP-005"
    lock.release()
    assert node.births() == [worker]


def test_no_connection_is_refused_while_children_are_replaced(start: Start) -> None:
    node = start({"jobs": JOBS, "api": {"port": (port := free_port())}})
    node.ready()
    refused: list[OSError] = []
    done = threading.Event()

    def knock() -> None:
        for _ in range(900):  # nobody accepts here, and the line holds a thousand
            if done.wait(0.02):
                return
            try:
                socket.create_connection(("127.0.0.1", port), timeout=20).close()
            except OSError as error:
                refused.append(error)

    knocker = threading.Thread(target=knock)
    knocker.start()
    try:
        for number in range(1, 11):
            node.edit(api={"port": port, "token": f"secret-number-{number}"})
            node.applied(number)
            node.ready(number + 1)
    finally:
        done.set()
        knocker.join()
    assert refused == []
    stop(node)
