"""The server dies under load, hangs, is away at the start, or the node is killed between settling and telling."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from job_item.job import new_task_id
from tests.brokers.manager import manager_of
from tests.brokers.servers import GO_ON, HANG
from tests.brokers.stages import Stage
from tests.conftest import eventually
from tests.nodes import FINAL, Node, running

UP = "job_item_broker_up{"
served = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)

HANGS_S = 11.0
"""Longer than a dead link is trusted, and than its answers were once waited for."""


def settings(stage: Stage, cmd: str, **more: Any) -> dict[str, Any]:
    """One event on this broker."""
    return {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(),
        "jobs": [{"event": "work", "cmd": cmd}],
        "limits": {"concurrency": 4},
        **more,
    }


@served
def test_nothing_that_was_accepted_is_lost_when_the_broker_dies_under_load(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, f"sleep 0.1; echo {{{{task_id}}}} >> {ledger}")) as node,
    ):
        names = [new_task_id() for _ in range(60)]
        for name in names:
            manager.trigger("work", {}, name, listen=False)
        eventually(lambda: len(ledger.read_text().split()) > 5, within_s=60)
        stage.shuts_down()
        accepted = {job["task_id"] for job in node.get("/jobs?limit=1000")[1]["jobs"]}
        eventually(lambda: node.get("/readyz")[0] == 503)
        assert "the message broker is away" in node.get("/readyz")[1]["reasons"][0]
        assert node.health()["broker"]["reason"]
        eventually(lambda: accepted <= set(ledger.read_text().split()), within_s=60, what="what runs goes on")
        stage.comes_back()
        manager.connect()  # at once: what nobody listens to is said for a while only
        manager.listen_to_all(sorted(accepted), "_finish")
        eventually(lambda: node.get("/readyz")[0] == 200, within_s=60)
        for name in accepted:
            assert manager.await_said(name) == b"finish"
        assert manager.await_said(manager.trigger("work")) == b"finish"
        told = node.log.read_text()
        losses = told.count('"broker.lost"')  # one, or more where a busy server was silent too long
        assert told.count('"broker.connected"') == losses + 1 > 1
        lines = ledger.read_text().split()
        assert len(lines) == len(set(lines))


@pytest.mark.parametrize("stage", ["nats-plain", "redis-plain"], indirect=True)
def test_a_node_on_a_deaf_link_says_so_runs_on_and_says_the_rest_on_the_next_one(stage: Stage, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with stage.proxy() as proxy, manager_of(stage.settings()) as manager:
        deaf = settings(stage, f"until [ -e {gate} ]; do sleep 0.1; done", heartbeat={"interval": "1s"})
        deaf["broker_connection"] = {**stage.settings(), "port": proxy.port}
        with running(tmp_path / "node", deaf) as node:
            task_id = manager.trigger("work")
            manager.await_said(task_id, "_who")
            proxy.change("half-open")
            eventually(lambda: not node.health()["broker"]["connected"], within_s=60)
            assert node.get("/readyz")[0] == 503
            (up,) = [line for line in node.get("/metrics")[1].decode().splitlines() if line.startswith(UP)]
            assert float(up.split()[-1]) == 0
            gate.touch()
            assert node.await_status(task_id)["status"] == "finish"
            proxy.change("fair")
            assert manager.await_said(task_id, within_s=60) == b"finish"
            assert set(manager.said(task_id, "_finish")) == {b"finish"}
            eventually(lambda: node.get("/readyz")[0] == 200, within_s=60)
            assert '"broker.lost"' in node.log.read_text()


@pytest.mark.parametrize("stage", ["rabbitmq-password"], indirect=True)
def test_a_server_that_hangs_for_a_while_keeps_its_connections_and_all_that_waits(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    command = f"echo {{{{task_id}}}} >> {ledger}; sleep 0.02"
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, command, heartbeat={"interval": 1, "timeout": 10})) as node,
    ):
        names = [manager.trigger("work", {}, new_task_id()) for _ in range(40)]
        eventually(lambda: len(ledger.read_text().split()) > 5, within_s=60)
        late = [new_task_id() for _ in range(5)]
        manager.listen_to_all(late)
        stage.server.signal(HANG)
        for name in late:
            manager.trigger("work", {}, name, listen=False)
        time.sleep(HANGS_S)
        assert node.get("/readyz")[0] == 200
        stage.server.signal(GO_ON)
        for name in names + late:
            assert manager.await_said(name, within_s=60) == b"finish"
        told = node.log.read_text()
        assert (told.count('"broker.lost"'), told.count('"broker.connected"')) == (0, 1)
        assert sorted(ledger.read_text().split()) == sorted(names + late)


@served
def test_a_broker_that_is_away_at_the_start_is_waited_for(stage: Stage, tmp_path: Path) -> None:
    stage.shuts_down()
    node = Node(tmp_path / "node", settings(stage, "echo hi"))
    try:
        node.start(ready=False)
        eventually(lambda: "broker.lost" in node.log.read_text(), within_s=60)
        stage.comes_back()
        node.await_ready()
        with manager_of(stage.settings()) as manager:
            assert manager.await_said(manager.trigger("work")) == b"finish"
    finally:
        node.destroy()


@pytest.mark.parametrize("point", ["settle.committed", "said.begin"])
@served
def test_a_child_that_is_killed_between_settling_and_telling_has_told_afterwards(
    stage: Stage, tmp_path: Path, point: str
) -> None:
    ledger = tmp_path / "ledger"
    ledger.touch()
    environ = {"JOB_ITEM_FAULT": f"{point}:2"}
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, f"echo x >> {ledger}"), environ) as node,
    ):
        first = manager.trigger("work")
        assert manager.await_said(first) == b"finish"
        before = node.log.read_text().count("child.died")
        second = manager.trigger("work")
        assert manager.await_said(second) == b"finish"
        eventually(lambda: node.log.read_text().count("child.died") > before, what="the child was killed")
        assert set(manager.said(second, "_finish")) == {b"finish"}
        assert len(ledger.read_text().split()) == 2
        assert node.await_status(second)["attempt"] == 1


@served
def test_jobs_of_a_killed_child_run_again_and_are_told_once(stage: Stage, tmp_path: Path) -> None:
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    ledger.touch()
    # None ends before the child is killed: what it had just said and not struck out yet would be said again.
    work = f"echo {{{{task_id}}}} >> {ledger}; until [ -e {gate} ]; do sleep 0.05; done"
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, work)) as node,
    ):
        for _ in range(8):
            manager.trigger("work")
        eventually(lambda: len(ledger.read_text().split()) >= 2, within_s=60)
        eventually(lambda: len(node.get("/jobs")[1]["jobs"]) >= 4, within_s=60)
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        gate.touch()
        # What nobody had accepted is lost with the last consumer, as the compatible way has it.
        names = [job["task_id"] for job in node.get("/jobs")[1]["jobs"]]
        for name in names:
            assert manager.await_said(name) == b"finish"
        for name in names:
            assert manager.said(name, "_finish") == [b"finish"]
            assert len(manager.said(name, "_who")) <= 1
            assert node.job(name)["status"] in FINAL
