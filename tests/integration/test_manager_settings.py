"""A real node that gets its settings from a Job Manager: at the start, while it is away, and when they change."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.hardware.host import host_information
from job_item.load import load
from job_item.plainlog import PlainLog
from supervisor.enrolment import enrol
from tests.brokers.manager import Manager, manager_of
from tests.brokers.servers import Access, NatsServer
from tests.conftest import eventually
from tests.manager import standin as faults
from tests.manager.standin import CONFIG, StandIn, nested, registered, standing_in
from tests.nodes import Node, running

JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": "echo hello"},
    {"event": "hello.world", "cmd": "echo world"},
    {"event": "slow", "cmd": "echo begin; exec sleep 60"},
]
QUICK = {"manager": {"refresh": "1s"}}
NATS = Callable[[Access], NatsServer]


def content(server: NatsServer, *events: dict[str, Any], **more: Any) -> dict[str, Any]:
    broker = {"key": "main", "name": "main", "auth_type": "none", **server.settings()}
    return {"uuid": "P-uuid", "broker_connection": broker, "project": {"job_datas": list(events)}, **more}


def lines(node: Node, event: str) -> list[dict[str, Any]]:
    found = []
    for line in node.log.read_text().splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("event") == event:
            found.append(document)
    return found


def manager_state(node: Node) -> dict[str, Any]:
    state: dict[str, Any] = node.health()["manager"]
    return state


@pytest.fixture
def server(nats: NATS) -> NatsServer:
    return nats("plain")


@pytest.fixture
def away(server: NatsServer) -> Iterator[StandIn]:
    with standing_in(content(server, registered("hello")), start=False) as made:
        yield made


@pytest.fixture
def manager(away: StandIn) -> StandIn:
    away.start()
    return away


@pytest.fixture
def trigger(server: NatsServer) -> Iterator[Manager]:
    with manager_of(server.settings()) as made:
        made.project = "P-uuid"
        yield made


def takes(trigger: Manager, event: str) -> bool:
    """Whether a job of an event is taken by somebody now."""
    task_id = trigger.trigger(event)
    try:
        trigger.await_said(task_id, "_who", within_s=2.0)
    except AssertionError:
        return False
    return True


def taken(trigger: Manager, event: str) -> str:
    """Ask for jobs of an event that is known just now, until one is taken: the broker may hear of it a little later."""
    asked: list[str] = []

    def is_taken() -> bool:
        asked.append(trigger.trigger(event))
        trigger.await_said(asked[-1], "_who", within_s=15.0)
        return True

    eventually(is_taken, within_s=90, what=f"a job of {event} is taken")
    return asked[-1]


def test_a_node_gets_its_broker_and_its_events_from_the_manager(
    manager: StandIn, trigger: Manager, tmp_path: Path
) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS)) as node:
        (question,) = manager.questions
        assert question.path == CONFIG
        assert question.headers["Content-Type"] == "application/json" and "Authorization" not in question.headers
        document = question.document
        assert (document["project_id"], document["secret_key"]) == ("P", manager.secret)
        assert document["os"] in ("linux", "darwin") and document["arch"] in ("amd64", "arm64", "386")
        assert document["host"].keys() == host_information().keys()
        assert trigger.await_said(trigger.trigger("hello")) == b"finish"
        assert not takes(trigger, "slow")
        doubts = [line for line in lines(node, "settings.doubted") if line["code"] == "ERR-MGR-007"]
        assert [line["at"].rpartition(" ")[2] for line in doubts] == ["jobs[1].event", "jobs[2].event"]
        assert all(str(line["at"]).startswith(str(node.folder / "config.yaml")) for line in doubts), (
            "each says where in the file"
        )
        state = manager_state(node)
        assert (state["url"], state["events"], state["reason"]) == (manager.url, ["hello"], None)
        kept = node.state / "manager.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert manager.secret not in kept.read_text() and manager.secret not in node.log.read_text()


def test_events_that_are_registered_later_are_picked_up_without_a_restart(
    manager: StandIn, server: NatsServer, trigger: Manager, tmp_path: Path
) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS, **QUICK)) as node:
        pids = (node.pid, node.child_pid("worker"))
        manager.content = content(server, registered("hello", 0, 0, nested("world")), registered("slow", 1, 70))
        eventually(lambda: len(manager_state(node)["events"]) == 3, what="the new events are known")
        assert trigger.await_said(taken(trigger, "hello.world")) == b"finish"
        slow = [taken(trigger, "slow"), trigger.trigger("slow")]
        eventually(
            lambda: [node.job(task_id)["status"] for task_id in slow] == ["running", "queued"], what="one of two runs"
        )
        manager.content = content(server, registered("slow"))
        eventually(lambda: manager_state(node)["events"] == ["slow"], what="an event is gone")
        eventually(lambda: not takes(trigger, "hello"), what="its jobs are not taken any more")
        assert (node.pid, node.child_pid("worker")) == pids
        (applied, *_) = lines(node, "settings.applied")
        assert {change["path"] for change in applied["changes"]} == {
            "manager.events.hello.world",
            "manager.events.slow",
        }
        assert {change["effect"] for change in applied["changes"]} == {"in place"}


def test_a_node_waits_for_its_manager_says_so_and_ends_at_once_when_asked(away: StandIn, tmp_path: Path) -> None:
    service = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(service))
        listener.settimeout(60)
        node = Node(tmp_path / "node", away.settings(jobs=JOBS), {"NOTIFY_SOCKET": str(service)})
        try:
            node.start(ready=False)
            told = listener.recv(4096).decode()
            assert told.startswith("STATUS=Waiting for the Job Manager: ") and "(ERR-MGR-001)" in told
            assert "EXTEND_TIMEOUT_USEC=" in told
            awaited = eventually(lambda: lines(node, "manager.awaited"), what="it says what it waits for")
            assert awaited[0]["code"] == "ERR-MGR-001"
            assert node.stop() == 0
            assert lines(node, "node.stopped")
        finally:
            node.destroy()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.status(500), "ERR-MGR-001"),
        (faults.status(401, b"key-of-the-project"), "ERR-MGR-002"),
        (faults.garbage(b"<html>"), "ERR-MGR-003"),
        (faults.half, "ERR-MGR-001"),
        (faults.huge, "ERR-MGR-003"),
        (faults.redirect("http://127.0.0.1:1/x"), "ERR-MGR-002"),
        (faults.garbage(b'{"return": {}}'), "ERR-MGR-003"),
    ],
)
def test_a_manager_in_trouble_is_asked_again_until_it_answers(
    manager: StandIn, tmp_path: Path, fault: faults.Fault, code: str
) -> None:
    manager.fault = fault
    node = Node(tmp_path / "node", manager.settings(jobs=JOBS))
    try:
        node.start(ready=False)
        awaited = eventually(lambda: lines(node, "manager.awaited"), within_s=60, what="it says what it waits for")
        assert awaited[0]["code"] == code, awaited
        manager.fault = None
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)  # ask now
        node.await_ready()
        assert manager.secret not in node.log.read_text()
    finally:
        node.destroy()


HASTY = """
import os, signal, sys
from supervisor import node
keep = node.keep_answer

def keep_hastily(*args):
    os.kill(os.getpid(), signal.SIGHUP)
    keep(*args)

node.keep_answer = keep_hastily
from supervisor.entry import main
sys.exit(main())
"""
"""A node whose user tells it to ask now when the answer has just come."""


def test_a_wish_to_ask_now_that_comes_with_the_answer_does_not_end_the_start(manager: StandIn, tmp_path: Path) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS), command=(sys.executable, "-c", HASTY)) as node:
        assert manager_state(node)["events"] == ["hello"]


class Stopper(PlainLog):
    """A log whose reader asks for the end of the process as soon as a line says that the Job Manager was found."""

    def info(self, event: str, **fields: Any) -> None:
        super().info(event, **fields)
        if event == "manager.found":
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_that_comes_with_the_answer_is_heard(manager: StandIn, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(manager.settings(jobs=JOBS)))
    config.chmod(0o600)
    loaded = load(config, {})
    log = Stopper(loaded.settings.log, room="supervisor", secrets=(), environ={})
    with pytest.raises(SystemExit) as ended:
        enrol(loaded, {}, log)
    assert ended.value.code == 0


def test_the_last_answer_is_used_while_the_manager_is_away_and_a_new_one_when_it_is_back(
    manager: StandIn, server: NatsServer, trigger: Manager, tmp_path: Path
) -> None:
    node = Node(tmp_path / "node", manager.settings(jobs=JOBS, **QUICK))
    try:
        node.start()
        assert node.stop() == 0
        manager.fault = faults.status(503)
        node.start()
        state = manager_state(node)
        assert state["code"] == "ERR-MGR-001" and "answers 503" in state["reason"]
        assert lines(node, "manager.lost")[0]["code"] == "ERR-MGR-008"
        assert trigger.await_said(trigger.trigger("hello")) == b"finish"
        node.configure(manager.settings(jobs=[*JOBS, {"event": "late", "cmd": "echo late"}], **QUICK))
        eventually(lambda: lines(node, "settings.applied"), what="an edit counts while the manager is away")
        assert manager_state(node)["code"] == "ERR-MGR-001"
        manager.content = content(server, registered("hello"), registered("late"))
        manager.fault = None
        eventually(lambda: manager_state(node)["reason"] is None, within_s=60, what="the manager is back")
        eventually(lambda: len(lines(node, "manager.found")) == 2)
        assert trigger.await_said(taken(trigger, "late")) == b"finish"
    finally:
        node.destroy()


def test_a_refusal_is_no_outage_a_node_does_not_start_with_an_old_answer(manager: StandIn, tmp_path: Path) -> None:
    node = Node(tmp_path / "node", manager.settings(jobs=JOBS))
    try:
        node.start()
        assert node.stop() == 0
        manager.fault = faults.status(403)
        node.start(ready=False)
        assert eventually(lambda: lines(node, "manager.awaited"), what="waits")[0]["code"] == "ERR-MGR-002"
        assert node.stop() == 0
    finally:
        node.destroy()


def test_a_restart_over_the_broker_asks_the_manager_anew_and_writes_no_configuration(
    manager: StandIn, server: NatsServer, trigger: Manager, tmp_path: Path
) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS)) as node:
        config = node.folder / "config.yaml"
        before, pid = (config.read_bytes(), config.stat().st_mtime_ns), node.child_pid("worker")
        slow_content = content(server, registered("hello"), registered("slow"))
        manager.content = slow_content
        for _ in range(21):
            trigger.publish("P-uuid.restart", b"")
        eventually(lambda: manager_state(node)["events"] == ["hello", "slow"], what="the new event is known")
        assert trigger.await_said(trigger.trigger("hello")) == b"finish"
        eventually(lambda: manager.asked() == 3, within_s=60, what="what came too early counts once, later")
        assert [len(lines(node, f"restart.{what}")) for what in ("received", "deferred")] == [2, 1]
        assert (config.read_bytes(), config.stat().st_mtime_ns) == before
        assert node.child_pid("worker") == pid


def test_a_shutdown_over_the_broker_ends_the_node_as_one_term_does(
    manager: StandIn, trigger: Manager, tmp_path: Path
) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS, identity_id="node-7")) as node:
        trigger.publish("node-8.shutdown", b"")
        assert trigger.await_said(trigger.trigger("hello")) == b"finish"
        trigger.publish("node-7.shutdown", b"")
        assert node.process is not None
        assert node.process.wait(60) == 0
        assert lines(node, "node.done")


def test_another_broker_replaces_the_job_child_without_a_gap(
    manager: StandIn, server: NatsServer, nats: NATS, trigger: Manager, tmp_path: Path
) -> None:
    with running(tmp_path / "node", manager.settings(jobs=JOBS, **QUICK)) as node:
        pid = node.child_pid("worker")
        other = NatsServer(tmp_path / "other", "plain", server.certificates)
        other.start()
        try:
            manager.content = content(other, registered("hello"))
            with manager_of(other.settings()) as there:
                there.project = "P-uuid"
                eventually(lambda: takes(there, "hello"), within_s=60, what="jobs come over the other broker")
            assert node.child_pid("worker") != pid
        finally:
            other.stop()


def test_a_hanging_manager_holds_no_edit_up_for_ever(manager: StandIn, trigger: Manager, tmp_path: Path) -> None:
    until = threading.Event()
    try:
        with running(tmp_path / "node", manager.settings(jobs=JOBS, **QUICK)) as node:
            manager.fault = faults.drip(until)
            asked = manager.asked()
            eventually(lambda: manager.asked() > asked, what="it is being asked")
            node.configure(manager.settings(jobs=JOBS, drain_grace=7, **QUICK))
            eventually(lambda: lines(node, "settings.applied"), within_s=60, what="the edit counts")
            assert manager_state(node)["code"] == "ERR-MGR-001"
    finally:
        until.set()


def test_no_secret_is_in_a_process_list_or_an_environment_of_the_node(
    manager: StandIn, server: NatsServer, tmp_path: Path
) -> None:
    settings = manager.settings(jobs=JOBS, execs=[{"key": "e", "cmd": "sleep 60"}], api={"port": 0, "token": "t0ken-x"})
    node = Node(tmp_path / "node", settings)
    try:
        node.start(ready=False)
        eventually(lambda: len(node.processes()) >= 6, within_s=60, what="all are there")
        for pid in node.processes():
            for name in ("cmdline", "environ"):
                try:
                    text = Path(f"/proc/{pid}/{name}").read_bytes()
                except OSError:
                    continue
                assert manager.secret.encode() not in text, (pid, name)
    finally:
        node.destroy()
