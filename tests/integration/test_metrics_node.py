"""A real node shows what it did, and goes on counting when its processes are replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.conftest import eventually
from tests.nodes import Node, running
from tests.unit.test_metrics import Values, parse, value

SETTINGS = {
    "jobs": [
        {"event": "good", "cmd": "echo hello; echo oops >&2"},
        {"event": "bad", "cmd": "exit 3"},
        {"event": "long", "cmd": "sleep 600", "kill_grace": 0.1},
    ],
    "execs": [{"key": "watch", "cmd": "sleep 600"}],
    "limits": {"concurrency": 2},
}


def scrape(node: Node) -> Values:
    status, body = node.get("/metrics")
    assert status == 200
    return parse(body.decode())


def test_a_node_shows_what_it_did(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        for event in ("good", "good", "bad"):
            node.await_status(node.submit(event))
        long = [node.submit("long") for _ in range(3)]
        eventually(lambda: value(scrape(node), "job_item_slots_used") == 2)
        eventually(lambda: value(scrape(node), "job_item_jobs_ended_total", event="bad", status="error") == 1)
        eventually(lambda: value(scrape(node), "job_item_run_seconds_count", event="bad") == 1)
        eventually(lambda: value(scrape(node), "job_item_exec_state", exec="watch", state="running") == 1)
        values = scrape(node)
        assert value(values, "job_item_jobs", event="good", status="finish") == 2
        assert value(values, "job_item_jobs_ended_total", event="bad", status="error") == 1
        assert value(values, "job_item_jobs_accepted_total", event="long") == 3
        assert value(values, "job_item_queue_jobs") == 1
        assert value(values, "job_item_slots") == 2
        assert 0 <= (value(values, "job_item_queue_oldest_age_seconds") or 0) < 300
        assert value(values, "job_item_dispatch_seconds_count", event="good") == 2
        assert value(values, "job_item_output_bytes_total", event="good", kind="stdout") == 12
        assert value(values, "job_item_output_bytes_total", event="good", kind="stderr") == 10
        for process in ("supervisor", "worker", "execs"):
            assert (value(values, "job_item_process_resident_bytes", process=process) or 0) > 1 << 20
        assert (value(values, "job_item_host_cpus") or 0) >= 1
        assert (value(values, "job_item_host_memory_bytes", kind="total") or 0) > 0
        assert (value(values, "job_item_host_disk_free_bytes", folder="state") or 0) > 0
        for task_id in long:
            node.ask("POST", f"/jobs/{task_id}/cancel")
        eventually(lambda: value(scrape(node), "job_item_jobs_ended_total", event="long", status="terminate") == 3)


def test_what_the_journal_knows_survives_the_job_child_and_its_restart_is_counted(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        node.await_status(node.submit("good"))
        assert value(scrape(node), "job_item_child_restarts_total", child="worker") == 0
        os.kill(node.child_pid("worker"), signal.SIGKILL)
        eventually(lambda: value(scrape(node), "job_item_child_restarts_total", child="worker") == 1)
        node.await_ready()
        values = scrape(node)
        assert value(values, "job_item_jobs", event="good", status="finish") == 1
        assert value(values, "job_item_jobs_ended_total", event="good", status="finish") == 0, "since its start"
