"""The job child is killed at every write of the journal, before, within and after it, while jobs come in and run."""

from __future__ import annotations

import http.client
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.nodes import Node, running
from worker.faults import FaultPoints

JOBS = 6
SETTINGS = {
    "jobs": [
        {"event": "note", "cmd": "echo $JOB_ITEM_TASK_ID >> ran", "retries": {"attempts": 50}},
        {"event": "twice", "cmd": "[ $JOB_ITEM_ATTEMPT -gt 1 ]", "retries": {"attempts": 50, "backoff": 0.01}},
        {"event": "long", "cmd": "sleep 600", "kill_grace": 0.1, "retries": {"attempts": 50}},
    ],
    "keep": {"jobs": 5},
    "limits": {"concurrency": 2},
}
ON_LOAN = ("borrow", "prolong", "own", "leave", "give_up", "revive", "drop")
"""What is written of jobs on loan and of dead letters; there are none here."""
POINTS = [name for name in FaultPoints.all_names if name.split(".")[0] not in ("recover", *ON_LOAN)]


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_write_loses_no_job(point: str, tmp_path: Path) -> None:
    # Each incarnation is killed at a passing that lets it come a little further than the one before. It claims two jobs
    # at once, and each claim after these is written together with the settlement that made room for it.
    passing = 5 if point.startswith("claim.") else 3
    with running(tmp_path, SETTINGS, {"JOB_ITEM_FAULT": f"{point}:{passing}"}) as node:
        cancelled = _create(node, "long", "long-0")
        _persist(node, "POST", f"/jobs/{cancelled}/cancel")
        for number in range(JOBS):
            _create(node, "note", f"note-{number}")
            _persist(node, "POST", f"/msg/notif/note-{number}", {"msg": "seen"})
            _persist(node, "POST", f"/msg/share/data/note-{number}", {"key": "k", "data": "x", "ttl_seconds": 0.01})
        _create(node, "twice", "twice-0")
        eventually(lambda: _open_jobs(node) == 0, within_s=180, what=f"all jobs end although {point} kills")
    ran = Counter((tmp_path / "ran").read_text().split())
    assert set(ran) == {f"note-{number}" for number in range(JOBS)}


def _create(node: Node, event: str, task_id: str) -> str:
    _persist(node, "POST", "/job/create", {"app_id": "local", "event": event, "form_body": {}, "task_id": task_id})
    return task_id


def _persist(node: Node, method: str, path: str, body: object = None) -> None:
    """Ask until there is an answer, as a client does whose connection broke."""

    def answered() -> bool:
        try:
            return node.ask(method, path, body)[0] in (200, 404)  # 404: ended, and pruned already
        except (OSError, http.client.HTTPException):
            return False

    eventually(answered, within_s=60, what=path)


def _open_jobs(node: Node) -> int:
    counts = node.health()["counts"]
    return int(counts["queued"] + counts["running"])
