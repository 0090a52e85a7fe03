"""The Job Manager or the broker is away, at each stage of jobs: what they did is known to him afterwards, once each.

Before `_who` (a job waits for a slot), while they run, between their end and `_finish` (killed in the time to settle),
with notifications, results and large files of scripts; what is asked for while nobody hears it is done later.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.brokers.manager import manager_of
from tests.brokers.stages import Stage
from tests.conftest import ROOT, eventually
from tests.jobmanager import JobManager, managing, node_settings
from tests.nodes import Node, running

pytestmark = [
    pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True),
    pytest.mark.timeout(300),
]

EVENTS = [{"event": "work"}, {"event": "report"}, {"event": "endless"}, {"event": "late"}]
LARGE_BYTES = 17 << 20
"""Such a file goes to the manager in pieces."""
REPORT = f"""
import os, pathlib, sys
from job_item import notify, submit_result, upload
notify("begins")
path = pathlib.Path(sys.argv[1]) / "report.bin"
path.parent.mkdir()
path.write_bytes(os.urandom({LARGE_BYTES}))
receipt = upload(path)
submit_result({{"waited": receipt.is_waiting}})
notify("ends")
"""


@dataclass
class Scene:
    """Jobs that have begun, and end when the gate is open; one of `works` waits for a slot, where it is kept."""

    stage: Stage
    manager: JobManager
    node: Node
    gate: Path
    works: list[str]
    report: str
    endless: str

    def begin(self) -> None:
        """Wait until all run but the one that waits, and what they have said is known."""
        running = [*self.works[:2], self.report, self.endless]
        for task in running:
            self.manager.await_status(task, "running")
        eventually(lambda: all(self.manager.output(task) == b"begins\n" for task in running), within_s=60)

    def nobody_listens(self) -> None:
        """Wait until the broker has noticed that the manager is dead: what RabbitMQ takes until then is lost."""

        def is_so() -> bool:
            tasks = (*self.works, self.report, self.endless)
            return not any(probe.run(probe.connection.deliver(f"{task}_process", b"")) for task in tasks)

        with manager_of(self.stage.settings()) as probe:
            eventually(is_so, within_s=60, what="nobody listens")

    def end(self) -> None:
        """Let the jobs end on the node."""
        self.gate.touch()
        for task in (*self.works, self.report):
            self.node.await_status(task, within_s=90)

    def check(self) -> None:
        """Everything is known, once, and in order."""
        manager = self.manager
        for task in self.works:
            assert manager.await_status(task, within_s=120)["status"] == "error"
            eventually(partial(_has_all_output, manager, task), within_s=60)
            assert manager.order(task) == ["_who", "_failed", "_finish"], task
            assert manager.said(task, "_failed") == ["why\n"]
        job = manager.await_status(self.report, within_s=120)
        assert job["status"] == "finish", manager.said(self.report, "_failed")
        assert [(file["name"], file["size"]) for file in job["files"]] == [("report.bin", LARGE_BYTES)]
        assert [json.loads(result["body"])["status"] for result in job["results"]] == ["completed"]
        assert manager.notes(self.report) == ["begins", "ends"]
        assert manager.order(self.report) == ["_who", ".notif_add", ".notif_add", "_finish"]
        assert manager.await_status(manager.create("late"))["status"] == "finish"


def _has_all_output(manager: JobManager, task: str) -> bool:
    return manager.output(task) == b"begins\nends\n"


@contextmanager
def scene(stage: Stage, folder: Path, *, waits: bool = True, finish_settle: float = 0) -> Iterator[Scene]:
    """A manager, a node, and jobs that have begun. `waits`: there is one more than slots."""
    gate, script = folder / "gate", folder / "report.py"
    script.write_text(REPORT)
    wait = f"echo begins; until [ -e {gate} ]; do sleep 0.05; done"
    sdk = f"PYTHONPATH={ROOT} {sys.executable} {script} $JOB_ITEM_TASK_ID.files"
    jobs = [
        {"event": "work", "cmd": f"{wait}; echo ends; echo why >&2; exit 1", "concurrency": 2},
        {"event": "report", "cmd": f"{wait}; {sdk}"},
        {"event": "endless", "cmd": "echo begins; sleep 600"},
        {"event": "late", "cmd": "echo late"},
    ]
    with managing(folder / "manager", stage.settings(), EVENTS) as manager:
        settings = node_settings(manager, jobs=jobs, finish_settle=finish_settle)
        with running(folder / "node", settings) as node:
            works = [manager.create("work") for _ in range(3 if waits else 2)]
            made = Scene(stage, manager, node, gate, works, manager.create("report"), manager.create("endless"))
            made.begin()
            yield made


def keeps_the_queue(stage: Stage) -> bool:
    """Whether jobs that wait survive the broker: those of RabbitMQ wait in a queue of its own, which dies with it."""
    return stage.kind != "rabbitmq"


def test_what_ends_while_the_manager_is_away_he_knows_when_he_is_back(stage: Stage, tmp_path: Path) -> None:
    with scene(stage, tmp_path) as jobs:
        jobs.manager.kill()
        jobs.nobody_listens()
        jobs.end()
        assert jobs.node.get("/readyz")[0] == 200, "jobs are taken all the same"
        begun_s = time.monotonic()
        jobs.manager.start()
        started_s = time.monotonic()
        eventually(lambda: jobs.manager.overview()["counts"].get("running", 0) < 4, within_s=60)
        # A busy machine is slow with both: the start of a process shows how slow.
        assert time.monotonic() - started_s < max(20, 3 * (started_s - begun_s))
        jobs.check()
        jobs.manager.act(jobs.endless, "terminate")
        assert jobs.manager.await_status(jobs.endless)["status"] == "terminate", "it hears what is asked of it"


def test_what_ends_while_the_broker_is_away_is_known_when_it_is_back_and_what_is_asked_for_meanwhile_is_done(
    stage: Stage, tmp_path: Path
) -> None:
    with scene(stage, tmp_path, waits=keeps_the_queue(stage)) as jobs:
        stage.shuts_down()
        jobs.manager.act(jobs.endless, "timeout")
        jobs.end()
        assert jobs.node.job(jobs.endless)["status"] == "running", "nobody could tell"
        stage.comes_back()
        assert jobs.manager.await_status(jobs.endless, within_s=120)["status"] == "timeout"
        jobs.check()


def test_a_node_that_is_killed_while_nobody_is_there_has_forgotten_nothing(stage: Stage, tmp_path: Path) -> None:
    with scene(stage, tmp_path, waits=keeps_the_queue(stage), finish_settle=1) as jobs:
        stage.shuts_down()
        jobs.manager.kill()
        jobs.end()
        jobs.node.destroy()
        stage.comes_back()
        jobs.node.start()
        jobs.manager.start()
        jobs.check()


def test_a_job_that_nobody_took_is_run_when_a_node_is_there(stage: Stage, tmp_path: Path) -> None:
    with managing(tmp_path / "manager", stage.settings(), EVENTS) as manager:
        before = manager.create("late")
        manager.kill()
        manager.start()
        assert manager.job(before)["status"] == "waiting"
        with running(tmp_path / "node", node_settings(manager, jobs=[{"event": "late", "cmd": "echo late"}])):
            assert manager.await_status(before)["status"] == "finish"
            assert manager.await_status(manager.create("late"))["status"] == "finish"
