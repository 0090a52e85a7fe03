"""A real node on real brokers: what is said and in which order, control at each stage, bad input, the local API."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.job import new_task_id
from tests.brokers.manager import SAID, Manager, manager_of
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.nodes import Node, running
from tests.terminal import COMMAND, environment

JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": "echo hello"},
    {"event": "bad", "cmd": "echo out; echo err >&2; exit 3"},
    {"event": "silent", "cmd": "exit 4"},
    {"event": "none", "cmd": ["/nowhere/at/all"]},
    {"event": "slow", "cmd": "echo begin; exec sleep 600"},
    {"event": "many", "cmd": "for i in $(seq 1 20000); do echo $i é; done"},
]
pytestmark = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)


def settings(stage: Stage, **more: Any) -> dict[str, Any]:
    """The settings of a node of project P on this broker."""
    return {"credential": {"project_id": "P"}, "broker_connection": stage.settings(), "jobs": JOBS, **more}


@pytest.fixture
def manager(stage: Stage) -> Iterator[Manager]:
    with manager_of(stage.settings()) as made:
        yield made


@pytest.fixture
def node(stage: Stage, manager: Manager, tmp_path: Path) -> Iterator[Node]:
    log = {"level": "DEBUG", "format": "json"}
    with running(tmp_path / "node", settings(stage, limits={"concurrency": 2}, log=log)) as made:
        yield made


def is_heard(manager: Manager, node: Node, task_id: str) -> bool:
    """Whether the broker let the node listen for a task before its first word; where that takes a second it does not.

    The task is ended where it is not so.
    """
    manager.await_said(task_id, "_who")
    lines = node.log.read_text().splitlines()
    if not any('"controls.late"' in line and task_id in line for line in lines):
        return True
    manager.replies.clear()
    node.ask("POST", f"/jobs/{task_id}/cancel")
    manager.await_said(task_id)
    return False


def test_everything_is_said_once_and_in_order(manager: Manager, node: Node) -> None:
    told = {
        event: manager.trigger(event, {"a": 1}) for event in ("hello", "bad", "silent", "none", "many") for _ in "1"
    }
    words = {event: manager.await_said(task_id) for event, task_id in told.items()}
    assert words == {"hello": b"finish", "bad": b"error", "silent": b"error", "none": b"error", "many": b"finish"}
    assert manager.order(told["hello"]) == ["_who", "_process", "_finish"]
    assert manager.order(told["bad"]) == ["_who", "_process", "_failed", "_finish"]
    assert manager.said(told["bad"], "_failed") == [b"err\n"]
    assert manager.order(told["silent"]) == ["_who", "_failed", "_finish"]
    assert manager.said(told["silent"], "_failed")[0].startswith(b"ERR-RUN-001: ")
    assert manager.said(told["none"], "_failed")[0].startswith(b"ERR-RUN-002: ")
    assert manager.order(told["many"]) == ["_who", "_process", "_finish"]
    chunks = manager.said(told["many"], "_process")
    assert b"".join(chunks) == "".join(f"{i} é\n" for i in range(1, 20001)).encode()
    for chunk in chunks:
        chunk.decode()
    for task_id in told.values():
        assert len(manager.said(task_id, "_who")) == len(manager.said(task_id, "_finish")) == 1
        assert node.job(task_id)["status"] == manager.await_said(task_id).decode()


def test_the_end_of_a_job_may_be_asked_for_while_it_runs_and_while_it_waits(manager: Manager, node: Node) -> None:
    running = [manager.trigger("slow") for _ in range(2)]
    for task_id in running:
        manager.await_said(task_id, "_process")
    manager.control(running[0], "timeout")
    assert manager.await_said(running[0]) == b"timeout"
    assert manager.order(running[0]) == ["_who", "_process", "_finish"]
    manager.publish(f"{running[1]}_worker", json.dumps({"task_id": running[0], "action": "terminate"}))
    manager.publish(f"{running[1]}_worker", b"not json")
    manager.publish(f"{running[1]}_worker", json.dumps({"action": "dance"}))
    manager.ping(running[1])
    assert manager.await_said(running[1], "_listen.callback") == b"world"
    assert node.job(running[1])["status"] == "running"
    assert node.process is not None
    node.process.send_signal(signal.SIGTERM)  # it drains, and still listens
    eventually(lambda: node.get("/readyz")[0] == 503)
    manager.control(running[1], "terminate")
    assert manager.await_said(running[1]) == b"terminate"
    assert node.process.wait(60) == 0


def test_a_control_message_that_follows_the_first_word_at_once_counts(manager: Manager, node: Node) -> None:
    for _ in range(5):
        task_id = new_task_id()
        manager.listen(task_id)
        manager.replies[f"{task_id}_who"] = f"{task_id}_worker", b'{"data":null,"action":"timeout"}'
        manager.trigger("slow", task_id=task_id, listen=False)
        if is_heard(manager, node, task_id):
            break
    assert manager.await_said(task_id) == b"timeout"
    assert len(manager.said(task_id, "_who")) == 1


def test_a_ping_is_answered_while_the_job_runs(stage: Stage, manager: Manager, node: Node) -> None:
    for _ in range(5):
        task_id = new_task_id()
        manager.listen(task_id, *SAID, "_listen.callback")
        if stage.kind != "rabbitmq":  # nothing is missed from the first word on
            manager.replies[f"{task_id}_who"] = f"{task_id}_listen", b"?"
        manager.trigger("slow", task_id=task_id, listen=False)
        if is_heard(manager, node, task_id):
            break
    if stage.kind == "rabbitmq":  # there the queue of pings is dear, and made for a job that runs on
        manager.ping(task_id)
    assert manager.await_said(task_id, "_listen.callback") == b"world"
    manager.control(task_id, "terminate")
    assert manager.await_said(task_id) == b"terminate"


def test_a_message_that_cannot_be_used_harms_nobody(manager: Manager, node: Node) -> None:
    for raw in (
        b"",
        b"hello",
        b"[]",
        b'{"data":{}}',
        b'{"task_id":"../x","data":{}}',
        b'{"task_id":"*"}',
        b"\xff" * 70,
    ):
        manager.publish("P.hello", raw)
    for data in (3, "text", True):
        task_id = manager.trigger("hello", data, listen=True)
        assert manager.await_said(task_id) == b"error"
        assert manager.order(task_id) == ["_failed", "_finish"]
    same = manager.trigger("hello", {"a": 1})
    manager.await_said(same)
    manager.publish("P.hello", json.dumps({"data": {"a": 1}, "task_id": same}))
    manager.publish("P.hello", json.dumps({"data": {"a": 2}, "task_id": same}))
    last = manager.trigger("hello")
    assert manager.await_said(last) == b"finish"
    eventually(lambda: node.health()["broker"]["refused"] == 11)
    assert len(manager.said(same, "_finish")) == 1
    assert node.job(same)["attempt"] == 1
    assert not list(node.folder.glob("*.json"))


def test_a_job_of_the_local_api_goes_over_the_broker(manager: Manager, node: Node) -> None:
    task_id = new_task_id()
    manager.listen(task_id)
    request = {"app_id": "P", "event": "hello", "form_body": {}, "task_id": task_id}
    assert node.ask("POST", "/job/create", request)[0] == 200
    assert node.await_status(task_id)["status"] == "finish"
    assert manager.await_said(task_id) == b"finish"
    assert node.ask("POST", "/job/create", request)[0] == 200
    assert node.output(task_id) == b"hello\n"
    assert node.ask("POST", f"/msg/notif/{task_id}", {"msg": "a<b"})[0] == 200
    note = manager.await_said(task_id, ".notif_add")
    assert b'"msg":"a\\u003cb","status":"process"}' in note
    assert list(json.loads(note)) == ["created_at", "msg", "status"]


def test_a_job_that_another_node_runs_is_followed(stage: Stage, manager: Manager, tmp_path: Path) -> None:
    jobs = [{**job, "concurrency": 1} for job in JOBS]
    with (
        running(tmp_path / "one", settings(stage, jobs=jobs)) as one,
        running(tmp_path / "two", settings(stage, jobs=jobs)) as two,
    ):
        there = None
        for _ in range(40):
            status, answer = one.ask("POST", "/job/create", {"event": "bad", "form_body": {}})
            assert status == 200, answer
            ended = one.await_status(answer["task_id"])
            assert ended["status"] == "error"
            if two.get(f"/jobs/{answer['task_id']}")[0] == 200 and two.job(answer["task_id"])["log_bytes"]:
                there = answer["task_id"]
                break
        assert there is not None, "the other node never got one"
        assert set(one.output(there).splitlines()) == {b"out", b"err"}
        assert one.get(f"/jobs/{there}")[1]["attempts"][0]["status"] == "error"


@pytest.mark.parametrize("word", ["--follow", "--wait"])
def test_the_command_line_waits_for_a_job_that_another_node_runs(
    stage: Stage, manager: Manager, tmp_path: Path, word: str
) -> None:
    with running(tmp_path / "one", settings(stage)) as one, running(tmp_path / "two", settings(stage)) as two:
        command = (*COMMAND, "--config", "config.yaml", "submit", "bad", word, "--task-id")
        for number in range(40):
            task_id = f"job-{number}"
            ended = subprocess.run(
                (*command, task_id), cwd=one.folder, capture_output=True, env=environment(), timeout=120, check=False
            )
            assert ended.returncode not in {0, 2}, ended.stderr
            if word == "--follow":
                assert (ended.stdout, b"err" in ended.stderr) == (b"out\n", True)
            assert b"error" in ended.stderr
            if two.get(f"/jobs/{task_id}")[0] == 200 and two.job(task_id)["log_bytes"]:
                return
        raise AssertionError("the other node never got one")
