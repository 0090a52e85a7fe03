"""Schemathesis against a real node: it reads the API from the node's own OpenAPI document and tries every operation.

Whatever the document has is tried; a new route needs nothing here. What has to exist for a request to get far (tasks,
keys, events) stands in dictionaries that are used for every parameter and member of that name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.nodes import Node

SETTINGS: dict[str, Any] = {
    "credential": {"project_id": "P"},
    "jobs": [
        {"event": "hello", "cmd": "echo out; echo err >&2"},
        {"event": "fail", "cmd": "exit 3", "retries": {"attempts": 2, "backoff": 0.01}},
        {"event": "brief", "cmd": "sleep 0.3", "kill_grace": 0.1},
    ],
    "execs": [{"key": "beat", "name": "beat", "cmd": "exec sleep 600"}],
    "limits": {"concurrency": 4},
}

CONFIG = """
color = false
continue-on-failure = true
request-timeout = 20
max-stream-events = 20

[dictionaries.tasks]
values = {tasks}
[dictionaries.keys]
values = ["k", "a/b", "beat"]
[dictionaries.events]
values = ["hello", "fail", "brief"]
[dictionaries.projects]
values = ["P"]

[parameters]
"path.task_id" = {{ dictionary = "tasks", probability = 0.7 }}
"path.key" = {{ dictionary = "keys", probability = 0.5 }}
"query.before" = {{ dictionary = "tasks", probability = 0.3 }}
"query.event" = {{ dictionary = "events", probability = 0.3 }}
"body.event" = {{ dictionary = "events", probability = 0.8 }}
"body.app_id" = {{ dictionary = "projects", probability = 0.9 }}
"body.key" = {{ dictionary = "keys", probability = 0.5 }}

[generation]
database = "none"

# What a request asks for may well not exist, and the description cannot know what does.
[checks.positive_data_acceptance]
enabled = false
"""


def prepare(node: Node, prefix: str = "") -> list[str]:
    """Make jobs of all kinds, with output, notes and share data; returns their ids."""
    tasks = []
    for event in ("hello", "fail", "brief"):
        status, answer = node.ask("POST", f"{prefix}/job/create", {"event": event, "form_body": {"a": "b"}})
        assert status == 200, answer
        tasks.append(answer["task_id"])
    for task_id in tasks:
        assert node.ask("POST", f"{prefix}/msg/notif/{task_id}", {"msg": "note"})[0] == 200
        assert node.ask("POST", f"{prefix}/msg/share/data/{task_id}", {"key": "k", "data": "x"})[0] == 200
    return tasks


def fuzz(node: Node, *options: str, prefix: str = "", within_s: float = 240.0) -> str:
    """Try the whole API of a node; returns what schemathesis says, and fails when it has found anything.

    Parameters: `options` of `schemathesis run`; `prefix`, what the paths of the node begin with.
    """
    config = node.folder / "schemathesis.toml"
    config.write_text(CONFIG.format(tasks=json.dumps(prepare(node, prefix))))
    program = Path(sys.executable).with_name("schemathesis")
    address = f"http://127.0.0.1:{node.port}{prefix}/openapi.json"
    done = subprocess.run(
        [program, "--config-file", config, "run", address, *options],
        cwd=node.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    faults = [line for line in node.log.read_text().splitlines() if "request.failed" in line or "Traceback" in line]
    assert faults == []
    return done.stdout
