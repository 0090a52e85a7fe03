"""`examples/scripts` as jobs of a real node, beside a stand-in of the Job Manager that sees each of their calls."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.javascript import find_javascript
from tests.managers import KEY, RECORDS, Manager, Reply, managing
from tests.nodes import Node, running

SCRIPTS = ROOT / "examples" / "scripts"
DATA = {"name": 'Grace "Amazing" Hopper', "numbers": [1, 2, 3], "ünïcode": "€"}
EXPORTS = """
export JOB_MANAGER_UPLOAD_FILE="$MANAGER/api/worker/job_record/file/$JOB_ITEM_TASK_ID"
export JOB_MANAGER_RESULT_URL="$MANAGER/api/worker/job_record/result/$JOB_ITEM_TASK_ID"
"""
"""What a node with `end_point` tells its jobs."""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples, with the packages that the one in JavaScript needs."""
    folder = tmp_path_factory.mktemp("scripts") / "scripts"
    shutil.copytree(SCRIPTS, folder, ignore=shutil.ignore_patterns("node_modules"))
    find_javascript().install(folder)
    return folder


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with managing() as manager:
        yield manager


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, scripts: Path, manager: Manager) -> Iterator[Node]:
    commands = {
        "report.sh": ["bash"],
        "report.py": [sys.executable],
        "report_sdk.py": ["env", f"PYTHONPATH={ROOT}", sys.executable],
        "report.mjs": [find_javascript().node],
    }
    jobs = [
        {
            "event": name,
            "cmd": EXPORTS + shlex.join(["exec", *words, str(scripts / name)]),
            "env": {"MANAGER": manager.url},
        }
        for name, words in commands.items()
    ]
    settings = {"jobs": jobs, "credential": {"project_id": "local", "secret_key": KEY}}
    with running(tmp_path_factory.mktemp("node"), settings) as node:
        yield node


def run(node: Node, manager: Manager, script: str) -> tuple[dict[str, Any], list[str]]:
    """Run a script as a job to its end; gives its record and what it notified."""
    manager.asked.clear()
    manager.replies.clear()
    record = node.await_status(node.submit(script, DATA), within_s=120)
    return record, [note["msg"] for note in record["notes"]]


ALL = ["report.sh", "report.py", "report_sdk.py", "report.mjs"]


@pytest.mark.parametrize("script", ALL)
def test_a_script_notifies_uploads_and_hands_in_its_result(node: Node, manager: Manager, script: str) -> None:
    record, notes = run(node, manager, script)
    task = record["task_id"]
    assert record["status"] == "finish", node.output(task)
    assert notes[0] == "report begins"
    assert notes[-1].startswith("report is done: ")
    assert [(asked.method, asked.path) for asked in manager.asked] == [
        ("POST", f"{RECORDS}/file/{task}"),
        ("POST", f"{RECORDS}/result/{task}"),
    ]
    uploaded, handed_in = manager.asked
    assert uploaded.headers["authorization"] == handed_in.headers["authorization"] == f"Bearer {KEY}"
    assert uploaded.form is not None
    assert uploaded.form.name == "file"
    assert uploaded.form.file_name.endswith(".csv")
    assert uploaded.form.size_bytes > len("name,value\n")
    assert handed_in.headers["content-type"].startswith("application/json")
    assert handed_in.json["status"] == "completed"
    assert "https://manager.example/files" in json.dumps(handed_in.json["result"])
    assert not list(node.folder.glob("report*.csv")), "a script tidies up"


@pytest.mark.parametrize("script", ALL)
def test_a_script_that_is_refused_says_so_and_ends_with_1(node: Node, manager: Manager, script: str) -> None:
    manager.asked.clear()
    manager.replies.append(Reply(403, b'{"status": "error", "status_code": 403, "return": "no room"}'))
    record = node.await_status(node.submit(script, DATA), within_s=120)
    assert (record["status"], record["exit_code"]) == ("error", 1)
    assert record["notes"][-1]["msg"].startswith("report failed")
    assert manager.results == []


def test_the_key_of_the_project_is_in_no_argument_of_the_shell_script() -> None:
    text = (SCRIPTS / "report.sh").read_text()
    assert '<<<"Authorization: Bearer $JOB_ITEM_PROJECT_KEY"' in text
    assert text.count("JOB_ITEM_PROJECT_KEY") == 1


def test_the_lock_of_the_packages_names_no_registry_and_has_a_hash_for_each() -> None:
    packages = json.loads((SCRIPTS / "package-lock.json").read_text())["packages"]
    assert {"node_modules/axios", "node_modules/form-data"} <= set(packages)
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
