"""The parent with real processes, real signals and real kill -9; its children are those of `tests.children`."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from job_item.process import children_of
from job_item.state import StateFolder
from tests.children import is_alive, living_strays
from tests.conftest import eventually
from tests.nodes import tree_of
from tests.parents import EXECS, NO_BEATS, QUICK_BEATS, Start, ask, starting
from tests.ports import default_port_taken


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starting(tmp_path) as begin:
        yield begin


# Start


def test_a_node_starts_both_children_tells_where_it_is_and_ends_clean(start: Start) -> None:
    node = start(settings={"execs": EXECS, "jobs": [{"event": "hello", "cmd": "true"}]})
    worker, execs = node.ready(), node.ready(room="execs")
    eventually(lambda: node.trace("worker", "swept") and node.trace("execs", "swept"))
    eventually(lambda: [str(worker), str(worker), str(execs), "0"] in node.trace("worker", "state"))
    info = StateFolder(node.state_dir).read_node()
    assert info is not None
    assert (info.pid, info.token) == (node.pid, None)
    node.signal(signal.SIGTERM)
    assert node.end() == 0
    told, _ = node.process.communicate()
    assert info.url in told
    assert f"{info.url}/docs" in told
    assert "submit hello" in told
    assert node.told() == ""
    assert StateFolder(node.state_dir).read_node() is None
    assert {path.name for path in node.state_dir.iterdir()} == {
        "identity",
        "node.lock",
        "worker.lock",
        "execs.lock",
        "trace",
    }


def test_without_execs_there_is_no_execs_child_and_no_process_too_many(start: Start) -> None:
    node = start()
    worker = node.ready()
    eventually(lambda: [str(worker), str(worker), "None", "0"] in node.trace("worker", "state"))
    assert len(node.processes()) == 3, "parent, forkserver, worker; no resource tracker"
    node.signal(signal.SIGINT)
    assert node.end() == 0


def test_what_children_start_gets_no_descriptor_of_the_node(start: Start) -> None:
    node = start("lists_descriptors")
    node.ready()
    assert [words[1:] for words in node.trace("worker", "descriptors")] == [["0", "1", "2"]]


def test_an_idle_parent_wakes_for_nothing(start: Start) -> None:
    node = start(settings={"heartbeat": {"interval": 60, "timeout": 120}})
    node.ready()
    eventually(lambda: node.trace("worker", "state") and node.trace("worker", "swept"))

    def naps() -> str:
        status = Path(f"/proc/{node.pid}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("voluntary_ctxt"))

    def all_sleep() -> bool:
        """Whether all processes of the node wait for an event; what waits for a processor only has something to do."""
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in tree_of(node.pid)]
        return all(stat.rpartition(")")[2].split()[0] == "S" for stat in stats)

    def settled() -> str | None:
        before = naps()
        return before if all(all_sleep() for _ in range(20)) and naps() == before else None

    before = eventually(settled)
    time.sleep(0.5)  # the stretch of time that is looked at, not a pause to be safe
    assert naps() == before


# Deaths


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_was_ready_is_replaced_at_once(start: Start, number: int) -> None:
    node = start(settings={"execs": EXECS})
    first, execs = node.ready(), node.ready(room="execs")
    os.kill(first, number)
    second = node.ready(2)
    assert node.logged("child.died", child="worker", exit_code=-number, restart_in_s=0.0)
    eventually(lambda: [str(second), str(second), str(execs), "0"] in node.trace("worker", "state"))
    assert node.births() == [first, second]
    assert node.births("execs") == [execs]
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_an_execs_child_is_replaced_and_the_worker_learns_of_it(start: Start) -> None:
    node = start(settings={"execs": EXECS})
    worker, first = node.ready(), node.ready(room="execs")
    os.kill(first, signal.SIGKILL)
    second = node.ready(2, "execs")
    eventually(lambda: [str(worker), str(worker), str(second), "0"] in node.trace("worker", "state"))
    assert node.births() == [worker]


def test_each_birth_has_an_incarnation_of_its_own(start: Start) -> None:
    node = start()
    for number in (1, 2, 3):
        os.kill(node.ready(number), signal.SIGKILL)
    node.ready(4)
    assert len({incarnation for _, incarnation in node.trace("worker", "born")}) == 4


def test_a_connection_made_while_the_worker_is_dead_is_answered_by_its_successor(start: Start) -> None:
    node = start("answers", settings={"heartbeat": NO_BEATS})
    first = node.ready()
    info = StateFolder(node.state_dir).read_node()
    assert info is not None
    assert ask(info.url) == first
    assert ask(info.url, b"die") == 0
    second = ask(info.url)
    assert second != first
    assert node.ready(2) == second


def test_strays_of_a_dead_worker_are_gone_before_its_successor_may_start_jobs(start: Start) -> None:
    node = start("has_strays", settings={"heartbeat": NO_BEATS})
    first = node.ready()
    assert len(living_strays(node.state_dir)) == 6
    os.kill(first, signal.SIGKILL)
    second = node.ready(2)
    swept = eventually(lambda: [words for words in node.trace("worker", "swept") if words[0] == str(second)])
    assert swept == [[str(second)]], "the successor was told while strays lived"
    assert living_strays(node.state_dir) == []
    told = [event for event in node.events() if event in ("child.spawned", "child.swept")]
    assert told == ["child.spawned", "child.spawned", "child.swept"], "the successor is born before the sweep is over"


def test_the_strays_of_a_child_that_ends_in_a_stop_are_swept_too(start: Start) -> None:
    node = start("has_strays", settings={"heartbeat": NO_BEATS})
    node.ready()
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_a_child_that_dies_at_birth_is_backed_off_and_given_up(start: Start) -> None:
    node = start("stillborn", settings={"execs": EXECS, "restart": {"limit": 3, "window": 60}})
    assert node.end() == 1
    assert len(node.births()) == 4
    pauses = [line["restart_in_s"] for line in node.logged("child.died", child="worker")]
    assert all(0.025 * 2**n <= pause <= 0.05 * 2**n for n, pause in enumerate(pauses))
    assert node.logged("node.gave_up", code="ERR-SUP-004")
    assert node.trace("execs", "drain")


@pytest.mark.parametrize(("worker", "exit_code"), [("misconfigured", 78), ("cascades", 76), ("last_words", 76)])
def test_a_child_may_end_the_node(start: Start, worker: str, exit_code: int) -> None:
    node = start(worker, settings={"execs": EXECS})
    assert node.end() == exit_code
    assert len(node.births()) == 1


def test_a_child_that_speaks_another_language_is_replaced(start: Start) -> None:
    node = start("babbles_once")
    node.ready(2)
    assert node.logged("link.broken", code="ERR-LNK-001")


# Hangs


def test_a_stopped_child_is_replaced(start: Start) -> None:
    node = start(settings={"heartbeat": QUICK_BEATS})
    os.kill(node.ready(), signal.SIGSTOP)
    node.ready(2)
    assert node.logged("child.hung", code="ERR-SUP-002")
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_a_child_in_an_endless_loop_is_replaced(start: Start) -> None:
    node = start("busy_once", settings={"heartbeat": QUICK_BEATS})
    node.ready(2)
    assert node.logged("child.hung")


def test_a_child_that_hangs_in_its_drain_does_not_keep_the_node(start: Start) -> None:
    node = start(settings={"heartbeat": QUICK_BEATS})
    worker = node.ready()
    os.kill(node.pid, signal.SIGSTOP)  # both at once: the child is not found out before the order to stop
    os.kill(worker, signal.SIGSTOP)
    node.signal(signal.SIGTERM)
    os.kill(node.pid, signal.SIGCONT)
    assert node.end() == 1


def test_a_parent_that_was_stopped_for_long_takes_nobody_for_hung(start: Start) -> None:
    node = start(settings={"heartbeat": QUICK_BEATS})
    first = node.ready()
    os.kill(node.pid, signal.SIGSTOP)
    time.sleep(1.2 * QUICK_BEATS["timeout"])
    os.kill(node.pid, signal.SIGCONT)
    node.signal(signal.SIGTERM)
    assert node.end() == 0
    assert node.births() == [first]


# Death of the parent and of the forkserver


@pytest.mark.parametrize("portable", ["", "1"])
def test_nothing_is_left_when_the_parent_is_killed(
    start: Start, portable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if portable:
        monkeypatch.setenv("JOB_ITEM_PORTABLE", portable)
    node = start(settings={"execs": EXECS})
    node.ready()
    node.ready(room="execs")
    node.signal(signal.SIGKILL)
    assert node.end() == -signal.SIGKILL
    successor = start(at=node.state_dir)
    successor.ready(2)
    assert len(successor.births()) == 2


def test_children_outlive_the_forkserver_and_are_still_watched(start: Start) -> None:
    node = start(settings={"execs": EXECS})
    worker, execs = node.ready(), node.ready(room="execs")
    [forkserver] = children_of(node.pid)
    os.kill(forkserver, signal.SIGKILL)
    eventually(lambda: {worker, execs} <= set(children_of(node.pid)), what="the children fall to the parent")
    assert (node.births(), node.births("execs")) == ([worker], [execs])
    os.kill(worker, signal.SIGKILL)
    second = node.ready(2)
    eventually(lambda: [str(second), str(second), str(execs), "0"] in node.trace("worker", "state"))
    assert node.logged("child.died", child="worker", exit_code=-9)
    assert node.births("execs") == [execs]
    os.kill(execs, signal.SIGKILL)
    node.ready(2, "execs")
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_a_stop_needs_no_forkserver(start: Start) -> None:
    node = start(settings={"execs": EXECS})
    node.ready()
    node.ready(room="execs")
    [forkserver] = children_of(node.pid)
    os.kill(forkserver, signal.SIGKILL)
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_an_exit_code_that_the_forkserver_tells_late_is_waited_for(start: Start) -> None:
    node = start()
    worker = node.ready()
    [forkserver] = children_of(node.pid)
    os.kill(forkserver, signal.SIGSTOP)
    node.signal(signal.SIGTERM)
    eventually(lambda: not is_alive(worker))
    time.sleep(1.5)  # the stretch for which a machine may stall
    os.kill(forkserver, signal.SIGCONT)
    assert node.end() == 0


def test_forkserver_and_worker_killed_in_one_moment_leave_one_successor(start: Start) -> None:
    node = start()
    worker = node.ready()
    [forkserver] = children_of(node.pid)
    os.kill(forkserver, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    second = node.ready(2)
    assert node.births() == [worker, second]
    node.signal(signal.SIGTERM)
    assert node.end() == 0


# What is refused


def test_a_second_node_on_the_same_folder_is_refused_by_name(start: Start) -> None:
    node = start()
    node.ready()
    second = start(at=node.state_dir)
    assert second.process.wait(60) == 69
    assert f"process {node.pid}" in second.told()
    assert "ERR-SUP-005" in second.told()
    assert is_alive(node.births()[0])
    info = StateFolder(node.state_dir).read_node()
    assert info is not None
    assert info.pid == node.pid


def test_faults_in_the_settings_are_told_all_at_once_and_nothing_is_started(start: Start) -> None:
    jobs = [{"event": "one", "cmd": "true", "working_dir": "/nowhere"}]
    node = start(settings={"api": {"host": "0.0.0.0"}, "jobs": jobs})
    assert node.end() == 78
    assert "no api.token" in node.told()
    assert "/nowhere" in node.told()
    assert not node.state_dir.exists()


def test_a_port_that_was_set_and_is_taken_is_an_error(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = start(settings={"api": {"port": port}})
        assert node.end() == 69
    assert f"Port {port}" in node.told()
    assert "ERR-SUP-008" in node.told()
    assert node.births() == []


def test_a_default_port_that_is_taken_gives_way_to_a_free_one_and_the_log_says_so(start: Start) -> None:
    with default_port_taken():
        node = start(settings={"api": {}})
        node.ready()
    info = StateFolder(node.state_dir).read_node()
    assert info is not None
    assert not info.url.endswith(":8080")
    assert node.logged("api.port_taken", port=8080, url=info.url)


# The other ways to run


def test_the_portable_path_replaces_and_drains(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_ITEM_PORTABLE", "1")
    node = start(settings={"execs": EXECS})
    first, execs = node.ready(), node.ready(room="execs")
    os.kill(first, signal.SIGKILL)
    second = node.ready(2)
    assert node.births("execs") == [execs]
    eventually(lambda: [str(second)] in node.trace("worker", "swept"))
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_many_deaths_leave_no_descriptor_and_no_zombie(start: Start) -> None:
    node = start()
    node.ready()
    eventually(lambda: node.trace("worker", "state") and node.trace("worker", "swept"))
    folder = Path(f"/proc/{node.pid}/fd")
    before = len(list(folder.iterdir()))
    for number in range(1, 21):
        os.kill(node.ready(number), signal.SIGKILL)
    node.ready(21)
    eventually(lambda: len(list(folder.iterdir())) == before)
    eventually(lambda: len(children_of(node.pid)) == 1)


def test_a_room_by_hand_is_the_node_of_its_folder_while_it_runs(start: Start) -> None:
    room = start("by_hand", alone=True)
    eventually(room.births)
    info = StateFolder(room.state_dir).read_node()
    assert info is not None
    assert info.pid == room.pid
    assert ask(info.url) == room.pid
    second = start("by_hand", alone=True, at=room.state_dir)
    assert second.process.wait(60) == 69
    assert f"process {room.pid}" in second.told()
    assert ask(info.url, b"die") == 0
    assert room.end() == 3
    assert StateFolder(room.state_dir).read_node() is None
