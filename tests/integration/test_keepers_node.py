"""Task files and starts that fail, in a real node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.nodes import Node, running

JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": "echo hello"},
    {"event": "widow", "cmd": "kill -9 $PPID; sleep 600", "on_lost": "error"},
    {"event": "again", "cmd": '[ "$JOB_ITEM_ATTEMPT" = 2 ] || { chmod 644 {{task_id}}.json; kill -9 $PPID; sleep 9; }'},
    {"event": "hinder", "cmd": "rm {{task_id}}.json; mkdir {{task_id}}.json"},
    {"event": "cgroup", "cmd": "true", "resources": {"cgroup": "/no/such/cgroup"}},
    {"event": "stopper", "cmd": "kill -STOP $PPID; sleep 600", "timeout": 0.1, "kill_grace": 0.1},
]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("node"), {"jobs": JOBS, "limits": {"concurrency": 2}}) as node:
        yield node


def test_a_file_of_the_user_outlives_a_rerun(tmp_path: Path) -> None:
    tmp_path.joinpath("secrets.json").write_text("mine")
    tmp_path.joinpath("secrets.json").chmod(0o600)
    with running(tmp_path, {"jobs": JOBS}, {"JOB_ITEM_FAULT": "settle.begin"}) as node:
        record = node.await_status(node.submit("hello", task_id="secrets"))
        assert record["error"]["code"] in ("ERR-RUN-005", "ERR-RUN-020")
        assert (tmp_path / "secrets.json").read_text() == "mine"


def test_a_lost_job_leaves_no_task_file(node: Node) -> None:
    task_id = node.submit("widow")
    assert node.await_status(task_id)["error"]["code"] == "ERR-RUN-009"
    assert not (node.folder / f"{task_id}.json").exists()


def test_a_lost_job_runs_again_whatever_it_did_to_its_task_file(node: Node) -> None:
    record = node.await_status(node.submit("again"))
    assert (record["status"], record["attempt"]) == ("finish", 2)


def test_a_task_file_that_cannot_be_removed_changes_no_status(node: Node) -> None:
    assert node.await_status(node.submit("hinder"))["status"] == "finish"


def test_a_cgroup_that_cannot_be_used_is_named(node: Node) -> None:
    error = node.await_status(node.submit("cgroup"))["error"]
    assert error["code"] == "ERR-RUN-015"
    assert "/no/such/cgroup: No such file" in error["message"]


def test_a_job_that_stops_its_keeper_times_out(node: Node) -> None:
    assert node.await_status(node.submit("stopper"))["status"] == "timeout"


def test_output_that_is_refused_is_told_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": JOBS}) as node:
        (node.state / "logs").mkdir(exist_ok=True)
        (node.state / "logs" / "ab").symlink_to("nowhere")
        task_id = node.submit("hello", task_id="kept-in-ab")
        assert node.await_status(task_id)["status"] == "finish"
        lines = eventually(lambda: [line for line in node.log.read_text().splitlines() if "output.refused" in line])
        assert "ERR-RUN-017" in lines[0]
        assert task_id in lines[0]
