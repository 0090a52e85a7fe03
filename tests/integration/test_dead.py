"""Dead letters of a node without a broker, by its API and its command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, eventually
from tests.nodes import Node, running

SETTINGS = {
    "jobs": [
        {"event": "flaky", "cmd": "echo x >> ran; test -e mended", "retries": {"attempts": 2, "backoff": 0.05}},
        {"event": "once", "cmd": "exit 1"},
        {
            "event": "never",
            "cmd": "echo y >> ran; exit 1",
            "retries": {"attempts": 5, "backoff": 0.05, "on": ["timeout"]},
        },
    ]
}


def dead(node: Node, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `job_item dead ...`."""
    command = [sys.executable, "-m", "supervisor", "dead", *words, "--config", str(node.folder / "config.yaml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


def test_a_job_that_has_used_up_its_attempts_is_a_dead_letter_and_runs_again_when_it_is_asked_to(
    tmp_path: Path,
) -> None:
    with running(tmp_path, SETTINGS) as node:
        flaky, once, never = (node.submit(event, {"n": 1}, event) for event in ("flaky", "once", "never"))
        for name in (flaky, once, never):
            assert node.await_status(name)["status"] == "error"
        assert (tmp_path / "ran").read_text().split().count("x") == 2
        assert (tmp_path / "ran").read_text().split().count("y") == 1
        (letter,) = json.loads(dead(node, "list", "--json").stdout)
        assert (letter["task_id"], letter["event"], letter["attempts"]) == (flaky, "flaky", 2)
        assert json.loads(dead(node, "show", flaky).stdout)["data"] == {"n": 1}
        (tmp_path / "mended").touch()
        assert dead(node, "retry", flaky).stdout == f"{flaky} is tried again\n"
        record = eventually(lambda: node.job(flaky)["status"] == "finish" and node.job(flaky))
        assert [attempt["attempt"] for attempt in record["attempts"]] == [1, 2, 3]
        assert json.loads(dead(node, "list", "--json").stdout) == []
        refused = dead(node, "retry", flaky)
        assert refused.returncode == 1
        assert "ERR-DLV-006" in refused.stderr


def test_a_dead_letter_that_is_dropped_stays_as_a_record_only(tmp_path: Path) -> None:
    with running(tmp_path, SETTINGS) as node:
        name = node.submit("flaky", task_id="T1")
        node.await_status(name, "error")
        assert dead(node, "drop", name).stdout == f"{name} is dropped\n"
        assert node.get("/dead")[1]["dead"] == []
        assert node.get(f"/dead/{name}")[0] == 404
        assert node.job(name)["status"] == "error"
