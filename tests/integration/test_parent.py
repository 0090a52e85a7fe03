"""The parent with real processes, real signals and real kill -9; its children are those of `tests.children`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from job_item.process import children_of
from job_item.state import StateFolder
from tests.children import is_alive, living_strays, trace_of
from tests.conftest import ROOT, eventually, free_port
from tests.ports import default_port_taken

PROGRAM = "import sys; from tests.children import main; sys.exit(main())"
EXECS = [{"key": "sample", "cmd": "true"}]
QUICK_BEATS = {"interval": 0.05, "timeout": 0.8}


class Node:
    """A node in a process of its own."""

    def __init__(self, state_dir: Path, **options: Any) -> None:
        self.state_dir = state_dir
        self.mark = f"JOB_ITEM_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        self._log = state_dir.parent / f"{state_dir.name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(state_dir), json.dumps(options)],
                cwd=ROOT,
                env={**os.environ, name: value},
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def trace(self, room: str, word: str) -> list[list[str]]:
        """What children of a room have noted under a word: pid and the words after it."""
        rows = [line.split() for line in trace_of(self.state_dir)]
        return [[pid, *rest] for who, pid, said, *rest in rows if (who, said) == (room, word)]

    def births(self, room: str = "worker") -> list[int]:
        return [int(pid) for pid, *_ in self.trace(room, "born")]

    def ready(self, births: int = 1, room: str = "worker") -> int:
        """The pid of the n-th child of a room that has become ready, once it is known as such."""
        pids = eventually(lambda: self.trace(room, "ready")[births - 1 :], what=f"{room} {births} ready")
        pid = int(pids[0][0])
        eventually(lambda: self.logged("child.ready", child=room, pid=pid), what=f"{room} {pid} known as ready")
        return pid

    def logged(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event and fields.items() <= line.items()]

    def told(self) -> str:
        """All that stands in the log and is no log line: traces, warnings, words for people."""
        return "\n".join(line for line in self._log.read_text().splitlines() if not line.startswith("{"))

    def processes(self) -> dict[int, str]:
        """All living processes that come from this node, with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if not entry.name.isdigit() or not is_alive(int(entry.name)):
                    continue
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, within_s: float = 10.0) -> int:
        """The exit code; nothing of the node may be left by then."""
        code = self.process.wait(within_s)
        eventually(lambda: not self.processes(), within_s=2.0, what=f"nothing left: {self.processes()}")
        return code


Start = Callable[..., Node]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start nodes, each on a state folder of its own unless one is named; nothing of them is left behind."""
    nodes: list[Node] = []

    def begin(worker: str = "worker", *, at: Path | None = None, **options: Any) -> Node:
        nodes.append(Node(at or tmp_path / f"state-{len(nodes)}", worker=worker, **options))
        return nodes[-1]

    yield begin
    for node in nodes:
        while left := node.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        node.process.communicate(timeout=10)


def ask(url: str, words: bytes = b"who") -> int:
    """What the child behind the API's socket answers: its pid."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(words)
        return int(connection.recv(100) or 0)


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
    eventually(lambda: node.trace("worker", "state"))

    def naps() -> str:
        status = Path(f"/proc/{node.pid}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("voluntary_ctxt"))

    eventually(lambda: len({naps() for _ in range(100)}) == 1)
    before = naps()
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
    node = start("answers")
    first = node.ready()
    info = StateFolder(node.state_dir).read_node()
    assert info is not None
    assert ask(info.url) == first
    assert ask(info.url, b"die") == 0
    second = ask(info.url)
    assert second != first
    assert node.ready(2) == second


def test_strays_of_a_dead_worker_are_gone_before_its_successor_may_start_jobs(start: Start) -> None:
    node = start("has_strays")
    os.kill(node.ready(), signal.SIGKILL)
    assert len(living_strays(node.state_dir)) == 6
    second = node.ready(2)
    swept = eventually(lambda: [words for words in node.trace("worker", "swept") if words[0] == str(second)])
    assert swept == [[str(second)]], "the successor was told while strays lived"
    assert living_strays(node.state_dir) == []
    ready, last = (node.logged(event)[-1]["time"] for event in ("child.ready", "child.swept"))
    assert ready < last, "the successor is there before the sweep is over"


def test_the_strays_of_a_child_that_ends_in_a_stop_are_swept_too(start: Start) -> None:
    node = start("has_strays")
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
    os.kill(node.ready(), signal.SIGSTOP)
    node.signal(signal.SIGTERM)
    assert node.end() == 1


def test_a_parent_that_was_stopped_for_long_takes_nobody_for_hung(start: Start) -> None:
    node = start(settings={"heartbeat": QUICK_BEATS})
    first = node.ready()
    os.kill(node.pid, signal.SIGSTOP)
    time.sleep(2 * QUICK_BEATS["timeout"])
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


# Signals


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
    node = start("deaf")
    node.ready()
    for word in ("drain", "cancel"):
        node.signal(signal.SIGINT)
        eventually(partial(node.trace, "worker", word))
    node.signal(signal.SIGINT)
    assert node.end(within_s=2.0) == 130


def test_signals_that_come_all_at_once_are_each_counted(start: Start) -> None:
    node = start("deaf")
    node.ready()
    os.kill(node.pid, signal.SIGSTOP)
    node.signal(signal.SIGTERM)
    node.signal(signal.SIGINT)
    os.kill(node.pid, signal.SIGCONT)
    eventually(lambda: node.trace("worker", "cancel"))
    node.signal(signal.SIGTERM)
    assert node.end(within_s=2.0) == 143


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


# What is refused


def test_a_second_node_on_the_same_folder_is_refused_by_name(start: Start) -> None:
    node = start()
    node.ready()
    second = start(at=node.state_dir)
    assert second.process.wait(10) == 69
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
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
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
    node.ready(2)
    assert node.births("execs") == [execs]
    eventually(lambda: len(node.trace("worker", "swept")) == 2)
    node.signal(signal.SIGTERM)
    assert node.end() == 0


def test_many_deaths_leave_no_descriptor_and_no_zombie(start: Start) -> None:
    node = start()
    node.ready()
    folder = Path(f"/proc/{node.pid}/fd")
    before = len(list(folder.iterdir()))
    for number in range(1, 21):
        os.kill(node.ready(number), signal.SIGKILL)
    node.ready(21)
    eventually(lambda: len(list(folder.iterdir())) == before)
    assert len(children_of(node.pid)) == 1


def test_a_room_by_hand_is_the_node_of_its_folder_while_it_runs(start: Start) -> None:
    room = start("by_hand", alone=True)
    eventually(room.births)
    info = StateFolder(room.state_dir).read_node()
    assert info is not None
    assert info.pid == room.pid
    assert ask(info.url) == room.pid
    second = start("by_hand", alone=True, at=room.state_dir)
    assert second.process.wait(10) == 69
    assert f"process {room.pid}" in second.told()
    assert ask(info.url, b"die") == 0
    assert room.end() == 3
    assert StateFolder(room.state_dir).read_node() is None
