"""A full disk: no new claim, no job killed, nothing lost, and the node recovers by itself.

The node's folder is a small file system of memory in a mount namespace of its own; this test reaches it through /proc.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, eventually
from tests.nodes import Node

SIZE = "24m"


class NodeOnSmallDisk(Node):
    """A node whose folder is a file system of its own."""

    def start(self, *, ready: bool = True) -> None:
        """Mount, write the settings, start; all within the namespace."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder.parent / "settings.yaml").write_text(yaml.safe_dump(self._settings))
        script = (
            f"mount -t tmpfs -o size={SIZE} tmpfs {self.folder} && cp {self.folder.parent}/settings.yaml"
            f" {self.folder}/config.yaml && cd {self.folder} && exec {sys.executable} -m supervisor"
        )
        outside = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*outside, "sh", "-c", script], env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        inside = Path(f"/proc/{self.process.pid}/root{self.folder}")
        eventually((inside / "config.yaml").exists, within_s=60)
        self.inside = inside
        self.state = inside / ".job_item"
        self.await_ready()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeOnSmallDisk]:
    jobs = [
        {"event": "echo", "cmd": "echo hello"},
        {"event": "talk", "cmd": "while [ ! -e /proc/self/cwd/go ]; do echo line; sleep 0.01; done; echo end"},
    ]
    node = NodeOnSmallDisk(tmp_path / "disk", {"jobs": jobs}, {"PYTHONPATH": str(ROOT)})
    node.log = tmp_path / "node.log"
    try:
        node.start()
        yield node
    finally:
        node.destroy()


def fill(node: NodeOnSmallDisk) -> Path:
    """Fill the disk; again where others have made room meanwhile, as a keeper does with the task file of its job."""
    filler = node.inside / "filler"

    def is_full() -> bool:
        with filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        return shutil.disk_usage(node.inside).free == 0

    eventually(is_full, what="the disk is full")
    return filler


def test_a_full_disk_stops_neither_the_node_nor_its_jobs(node: NodeOnSmallDisk) -> None:
    running_job = node.submit("talk")
    eventually(lambda: node.output(running_job).count(b"line") > 3)
    filler = fill(node)
    request = {"app_id": "local", "event": "echo", "form_body": {"x": "y" * 100_000}}
    status, answer = node.ask("POST", "/job/create", request)
    assert (status, answer["code"]) == (503, "ERR-STO-001")
    assert node.health()["worker"]["pid"] == node.child_pid("worker")
    assert node.job(running_job)["status"] == "running"
    filler.unlink()
    (node.inside / "go").touch()
    record = node.await_status(running_job)
    assert record["status"] == "finish"
    output = node.output(running_job)
    assert output.endswith(b"end\n")
    dropped = record["attempts"][0]["usage"]["dropped_bytes"]
    assert dropped == 0 or f"{dropped} bytes of output are missing".encode() in output
    assert node.await_status(node.submit("echo"))["status"] == "finish"


def test_a_job_that_ends_while_the_disk_is_full_is_settled_when_there_is_room(node: NodeOnSmallDisk) -> None:
    task_id = node.submit("talk")
    eventually(lambda: node.output(task_id).count(b"line") > 3)
    filler = fill(node)
    (node.inside / "go").touch()  # a name needs no room there
    eventually(lambda: "job.unsettled" in node.log.read_text())
    assert node.job(task_id)["status"] == "running"
    reason = "The journal cannot be written: database or disk is full."
    eventually(lambda: node.get("/readyz")[1].get("reasons") == [reason])
    assert node.get("/readyz")[0] == 503
    filler.unlink()
    assert node.await_status(task_id)["status"] == "finish"
    eventually(lambda: node.get("/readyz")[0] == 200)


def test_a_job_child_killed_on_a_full_disk_has_a_successor_that_waits_for_room(node: NodeOnSmallDisk) -> None:
    task_id = node.submit("echo")
    node.await_status(task_id)
    filler = fill(node)
    killed = node.child_pid("worker")
    os.kill(killed, signal.SIGKILL)
    assert node.health()["worker"]["pid"] != killed
    status, readiness = node.get("/readyz")
    assert (status, readiness["ready"]) == (503, False)
    assert "journal" in readiness["reasons"][0]
    assert node.get(f"/jobs/{task_id}")[0] == 503
    connection = node.connect()
    connection.request("POST", "/job/create", json.dumps({"event": "echo", "form_body": {}}))
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (503, "ERR-STO-001")
    assert int(answer.headers["retry-after"]) > 0
    successor = node.child_pid("worker")
    filler.unlink()
    node.await_ready()
    assert node.child_pid("worker") == successor
    assert node.job(task_id)["status"] == "finish"
    connection.request("POST", "/job/create", json.dumps({"event": "echo", "form_body": {}}))
    assert connection.getresponse().status == 200
    connection.close()
    assert node.log.read_text().count("journal.shut") == 1
    assert node.log.read_text().count("journal.opened") == 1


def test_a_job_whose_worker_is_killed_on_a_full_disk_runs_again_when_there_is_room(node: NodeOnSmallDisk) -> None:
    task_id = node.submit("talk")
    eventually(lambda: node.output(task_id).count(b"line") > 3)
    filler = fill(node)
    for _ in range(2):  # the first death makes a little room: the task file goes with its keeper
        killed = node.child_pid("worker")
        os.kill(killed, signal.SIGKILL)
        assert node.child_pid("worker") != killed
        fill(node)
    filler.unlink()
    (node.inside / "go").touch()
    node.await_ready()
    assert node.await_status(task_id)["status"] == "finish"


def test_a_node_stops_in_good_order_while_its_journal_waits_for_room(node: NodeOnSmallDisk) -> None:
    fill(node)
    killed = node.child_pid("worker")
    os.kill(killed, signal.SIGKILL)
    assert node.health()["worker"]["pid"] != killed
    assert node.stop() == 0
