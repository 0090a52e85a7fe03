"""Whole nodes with `delivery: durable`: jobs outlive nodes, children and brokers, and count once."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import handlers
from tests.brokers.manager import Manager, manager_of
from tests.brokers.stages import DURABLE, Stage
from tests.conftest import eventually
from tests.nodes import Node, running

pytestmark = pytest.mark.parametrize("stage", [stage for stage in DURABLE if "embedded" not in stage], indirect=True)

SOON_S = 60.0
ENDLESS_S = 600.0
"""A lease that runs out in no test: whatever is not to be waited for comes without it."""
TERM_S = 8.0
"""A lease that runs out, and yet is renewed in time by a node that gets no processor for some seconds."""
SMALL = """
from job_item import HandlerContext

def small(given: dict, context: HandlerContext) -> None:
    with open(given["log"], "a") as log:
        log.write(context.task_id + "\\n")
"""


def settings(stage: Stage, cmd: str, *, lease: float = ENDLESS_S, **more: Any) -> dict[str, Any]:
    """One event on this broker."""
    job = {"event": "work", "cmd": cmd, **more.pop("job", {})}
    return {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(lease=lease),
        "jobs": [job],
        "limits": {"concurrency": 4},
        **more,
    }


def lines(ledger: Path) -> list[str]:
    """What jobs have written down."""
    return ledger.read_text().split() if ledger.exists() else []


def ask(manager: Manager, count: int, first: int = 0) -> list[str]:
    """Ask for some jobs as a manager does, and listen for what becomes of them."""
    return [manager.trigger("work", {"n": number}, f"T{number}") for number in range(first, first + count)]


def test_jobs_that_are_asked_for_while_no_node_is_there_are_run_by_the_next(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    wanted = settings(stage, f"echo {{{{task_id}}}} >> {ledger}")
    with manager_of(stage.settings()) as manager:
        with running(tmp_path / "node", wanted) as node:
            assert manager.await_said(ask(manager, 1)[0], within_s=SOON_S) == b"finish"
            node.stop()
        names = ask(manager, 20, 1)
        if stage.kind == "redis":  # what is only published while no node is there is lost
            names = []
        with running(tmp_path / "node", wanted):
            for name in [*names, *ask(manager, 1, 21)]:
                assert manager.await_said(name, within_s=SOON_S) == b"finish"
    assert sorted(lines(ledger)) == sorted(["T0", *names, "T21"])


def test_a_job_whose_child_is_killed_runs_again_and_is_told_once(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    wanted = settings(
        stage, f"echo $JOB_ITEM_ATTEMPT:$JOB_ITEM_FENCE >> {ledger}; test $JOB_ITEM_ATTEMPT = 2 || sleep 60"
    )
    with manager_of(stage.settings()) as manager, running(tmp_path / "node", wanted) as node:
        (name,) = ask(manager, 1)
        eventually(lambda: len(lines(ledger)) == 1, within_s=SOON_S)
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        assert manager.await_said(name, within_s=SOON_S) == b"finish"
        assert manager.said(name, "_finish") == [b"finish"]
        (first, second) = (tuple(map(int, line.split(":"))) for line in lines(ledger))
        assert (first[0], second[0]) == (1, 2)
        assert first[1] < second[1]
        record = node.await_status(name)
        assert [attempt["status"] for attempt in record["attempts"]] == ["error", "finish"]
        assert [attempt["fence"] for attempt in record["attempts"]] == [first[1], second[1]]


def test_a_job_whose_child_died_with_its_end_unacknowledged_is_told_at_once_and_runs_no_more(
    stage: Stage, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    job = {"retries": {"attempts": 2, "backoff": 0.05}}
    wanted = settings(stage, f"echo x >> {ledger}; exit 3", job=job) | {
        "broker_connection": stage.settings(lease=ENDLESS_S, dedupe=600)
    }
    fault = {"JOB_ITEM_FAULT": "settle.resolve"}  # the journal has the end, and nobody else
    with manager_of(stage.settings()) as manager, running(tmp_path / "node", wanted, fault) as node:
        (name,) = ask(manager, 1)
        assert manager.await_said(name, within_s=SOON_S) == b"error"
        assert len(lines(ledger)) == 2
        assert "ERR-SUP-001" in node.log.read_text()
        assert [letter["task_id"] for letter in eventually(lambda: node.get("/dead")[1]["dead"])] == [name]


def test_a_job_that_is_longer_than_the_lease_runs_once(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    wanted = settings(stage, f"echo x >> {ledger}; sleep {TERM_S * 1.25}", lease=TERM_S)
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "one", wanted),
        running(tmp_path / "two", wanted),
    ):
        (name,) = ask(manager, 1)
        assert manager.await_said(name, within_s=SOON_S) == b"finish"
        assert lines(ledger) == ["x"]


def test_a_job_goes_over_to_another_node_when_its_own_dies(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    wanted = settings(
        stage, f"echo $JOB_ITEM_ATTEMPT >> {ledger}; test $JOB_ITEM_ATTEMPT = 2 || sleep 60", lease=TERM_S
    )
    with manager_of(stage.settings()) as manager, running(tmp_path / "one", wanted) as one:
        (name,) = ask(manager, 1)
        eventually(lambda: lines(ledger) == ["1"], within_s=SOON_S)
        with running(tmp_path / "two", wanted) as two:
            one.destroy()
            assert manager.await_said(name, within_s=SOON_S) == b"finish"
            assert lines(ledger) == ["1", "2"]
            assert two.await_status(name)["attempt"] == 2
            assert manager.said(name, "_finish") == [b"finish"]


def test_a_node_that_was_stopped_past_its_lease_kills_its_job_and_has_no_say(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    cmd = f"echo $JOB_ITEM_BASE_URL >> {ledger}; sleep 120 & wait $!"
    wanted = settings(stage, cmd, lease=TERM_S, heartbeat={"timeout": 100, "interval": 1})
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "one", wanted) as one,
        running(tmp_path / "two", wanted) as two,
    ):
        (name,) = ask(manager, 1)
        eventually(lambda: len(lines(ledger)) == 1, within_s=SOON_S)
        old, new = (one, two) if lines(ledger)[0].endswith(str(one.port)) else (two, one)
        worker = old.child_pid("worker")
        os.kill(worker, signal.SIGSTOP)
        try:
            eventually(lambda: len(lines(ledger)) == 2, within_s=SOON_S + 30)
        finally:
            os.kill(worker, signal.SIGCONT)
        eventually(lambda: old.job(name)["status"] == "left", within_s=SOON_S)
        assert old.job(name)["attempts"][0]["error"]["code"] == "ERR-DLV-001"
        eventually(lambda: "ERR-DLV-002" in old.log.read_text())
        assert new.job(name)["status"] == "running"
        assert manager.said(name, "_finish") == []
        manager.control(name, "terminate")
        assert manager.await_said(name) == b"terminate"
        assert manager.said(name, "_finish") == [b"terminate"]


def test_a_job_that_fails_is_tried_again_as_its_spec_says_and_ends_in_the_dead_letters(
    stage: Stage, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    job = {"retries": {"attempts": 3, "backoff": 0.1}}
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, f"echo x >> {ledger}; exit 3", job=job)) as node,
    ):
        (name,) = ask(manager, 1)
        assert manager.await_said(name, within_s=SOON_S) == b"error"
        assert len(lines(ledger)) == 3
        assert [attempt["exit_code"] for attempt in node.job(name)["attempts"]] == [3, 3, 3]
        letters = eventually(lambda: node.get("/dead")[1]["dead"])
        assert [(letter["task_id"], letter["attempts"], letter["event"]) for letter in letters] == [(name, 3, "work")]
        assert node.ask("POST", f"/dead/{name}/retry")[0] == 200
        eventually(lambda: len(lines(ledger)) == 6, within_s=SOON_S)
        eventually(lambda: manager.said(name, "_finish") == [b"error", b"error"], within_s=SOON_S)
        assert [letter["task_id"] for letter in eventually(lambda: node.get("/dead")[1]["dead"])] == [name]
        assert node.ask("POST", f"/dead/{name}/drop")[0] == 200
        assert node.get("/dead")[1]["dead"] == []
        status, refused = node.ask("POST", f"/dead/{name}/drop")
        assert (status, refused["code"]) == (404, "ERR-DLV-006")


def test_a_job_that_kills_its_worker_each_time_ends_in_the_dead_letters(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    # Until it is told the pid of its worker the file names the one before, which is gone.
    cmd = f'echo x >> {ledger}; until kill -9 $(cat "{tmp_path}/worker"); do sleep 0.02; done; sleep 60'
    with (
        manager_of(stage.settings()) as manager,
        running(tmp_path / "node", settings(stage, cmd, restart={"limit": 50})) as node,
    ):
        (tmp_path / "worker").write_text(str(node.child_pid("worker")))
        (name,) = ask(manager, 1)
        for number in (1, 2):
            eventually(partial(_has_lines, ledger, number), within_s=SOON_S)  # or has begun once more by now
            node.await_ready()
            eventually(lambda: (tmp_path / "worker").write_text(str(node.child_pid("worker"))))
        assert manager.await_said(name, within_s=SOON_S) == b"error"
        assert len(lines(ledger)) == 2
        assert node.job(name)["error"]["code"] == "ERR-DLV-004"
        assert [letter["task_id"] for letter in eventually(lambda: node.get("/dead")[1]["dead"])] == [name]


def test_what_runs_when_a_node_is_stopped_is_handed_to_another(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    # It looks for the gate before it writes: who has written down that it runs is to run until it is stopped.
    cmd = f"test -e {tmp_path}/go; shut=$?; echo $JOB_ITEM_ATTEMPT >> {ledger}; test $shut = 0 || sleep 60"
    wanted = settings(stage, cmd, drain_grace=0.2)
    with manager_of(stage.settings()) as manager, running(tmp_path / "one", wanted) as one:
        names = ask(manager, 4)
        eventually(lambda: len(lines(ledger)) == 4, within_s=SOON_S)
        (tmp_path / "go").touch()
        with running(tmp_path / "two", wanted):
            one.stop()
            for name in names:
                assert manager.await_said(name, within_s=SOON_S) == b"finish"
        assert len(lines(ledger)) == 8


def test_a_job_that_waits_or_runs_can_be_ended_and_its_queue_is_empty_then(stage: Stage, tmp_path: Path) -> None:
    job = {"retries": {"attempts": 2, "backoff": 600, "backoff_max": 600}}
    with (
        manager_of(stage.settings()) as manager,
        running(
            tmp_path / "node", settings(stage, "test {{n}} = 0 && exit 1; sleep 600", lease=TERM_S, job=job)
        ) as node,
    ):
        resting, runs = ask(manager, 2)
        eventually(lambda: node.job(resting)["attempts"], within_s=SOON_S)
        node.await_status(resting, "queued")
        node.await_status(runs, "running")
        for name in (resting, runs):
            manager.control(name, "terminate")
            assert manager.await_said(name) == b"terminate"
        time_over_s = time.monotonic() + TERM_S * 1.5
        eventually(lambda: time.monotonic() > time_over_s)
        assert [node.job(name)["status"] for name in (resting, runs)] == ["terminate"] * 2


def test_the_broker_may_die_under_load_and_no_job_is_lost(stage: Stage, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with (
        manager_of(stage.settings()) as manager,
        running(
            tmp_path / "node", settings(stage, f"echo {{{{task_id}}}} >> {ledger}; sleep 0.1", lease=TERM_S)
        ) as node,
    ):
        names = [_create(node, f"T{number}") for number in range(60)]
        eventually(lambda: len(lines(ledger)) > 5, within_s=SOON_S)
        stage.shuts_down()
        stage.comes_back()
        manager.connect()
        eventually(lambda: set(lines(ledger)) == set(names), within_s=SOON_S + 30)
        for name in names:
            eventually(partial(_has_finished, node, name), within_s=SOON_S)


def _has_lines(ledger: Path, count: int) -> bool:
    return len(lines(ledger)) >= count


def _has_finished(node: Node, name: str) -> bool:
    return bool(node.job(name)["status"] == "finish")


def _create(node: Node, task_id: str) -> str:
    request = {"event": "work", "form_body": {}, "task_id": task_id}
    status, answer = node.ask("POST", "/job/create", request)
    assert status == 200, answer
    return task_id


def test_small_jobs_of_a_handler_are_lent_one_by_one_and_run_once(stage: Stage, tmp_path: Path) -> None:
    ledger, folder = tmp_path / "ledger", tmp_path / "node"
    folder.mkdir()
    handlers.write(folder, SMALL)
    wanted = settings(stage, "", jobs=[{"event": "work", "handler": "acts:small"}])
    with manager_of(stage.settings()) as manager, running(folder, wanted) as node:
        names = [manager.trigger("work", {"log": str(ledger)}, f"T{number}") for number in range(40)]
        for name in names:
            assert manager.await_said(name, within_s=SOON_S) == b"finish"
            assert manager.said(name, "_finish") == [b"finish"]
        assert node.await_status(names[-1])["attempt"] == 1
    assert sorted(lines(ledger)) == sorted(names)
