"""`examples/scripts` as jobs of a node that belongs to the example Job Manager, over each broker, unmodified."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.brokers.stages import Stage
from tests.conftest import ROOT
from tests.javascript import find_javascript
from tests.jobmanager import managing, node_settings
from tests.nodes import running

pytestmark = pytest.mark.parametrize("stage", ["nats-plain", "redis-plain", "rabbitmq-password"], indirect=True)

SCRIPTS = ROOT / "examples" / "scripts"
DATA = {"name": 'Grace "Amazing" Hopper', "numbers": [1, 2, 3], "ünïcode": "€"}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts") / "scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("node_modules"))
    find_javascript().install(folder)
    return folder


def test_every_script_notifies_uploads_and_hands_in_its_result(stage: Stage, tmp_path: Path, scripts: Path) -> None:
    commands = {
        "sh": ["bash", str(scripts / "report.sh")],
        "py": [sys.executable, str(scripts / "report.py")],
        "sdk": ["env", f"PYTHONPATH={ROOT}", sys.executable, str(scripts / "report_sdk.py")],
        "js": [str(find_javascript().node), str(scripts / "report.mjs")],
    }
    jobs = [{"event": event, "cmd": cmd} for event, cmd in commands.items()]
    with (
        managing(tmp_path / "manager", stage.settings(), [{"event": event} for event in commands]) as manager,
        running(tmp_path / "node", node_settings(manager, jobs=jobs)),
    ):
        tasks = {event: manager.create(event, DATA) for event in commands}
        for event, task in tasks.items():
            job = manager.await_status(task, within_s=180)
            assert job["status"] == "finish", (event, manager.said(task, "_failed"))
            notes = manager.notes(task)
            assert notes[0] == "report begins", event
            assert notes[-1].startswith("report is done: ")
            (file,) = job["files"]
            assert file["name"].endswith(".csv")
            assert file["size"] > len("name,value\n")
            (result,) = job["results"]
            handed_in = json.loads(result["body"])
            assert handed_in["status"] == "completed"
            assert f"/files/{file['id']}/" in json.dumps(handed_in["result"])
            assert manager.order(task)[-1] == "_finish"
