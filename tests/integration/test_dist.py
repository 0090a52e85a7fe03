"""What `make dist` builds is what people install: into fresh environments, with nothing of the checkout at hand."""

from __future__ import annotations

import os
import signal
import sys
import zipfile
from pathlib import Path

import pytest

import job_item
from job_item.built import name_version
from tests.artifacts import BASE, run
from tests.conftest import ROOT, eventually
from tests.nodes import running

pytestmark = pytest.mark.timeout(900)

SCRIPT = 'echo "job of {{name}}"; echo saved | job_item save; command -v job_item'
BARE = {"PYTHONPATH": "", "PATH": "/usr/local/bin:/usr/bin:/bin"}
"""Over the environment of a test: nothing of the checkout, nothing of its environment."""


def test_the_checksums_are_those_of_all_that_was_built(dist: Path) -> None:
    said = run("sha256sum", "--check", "SHA256SUMS", cwd=dist)
    assert said.count(": OK") == len(list(dist.iterdir())) - 1 == 4


def test_what_was_built_names_its_commit_and_nothing_of_the_machine(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        commit = archive.read("job_item/commit.txt").decode().strip()
        assert not [name for name in archive.namelist() if name.startswith(("tests", "tools"))]
    assert name_version(job_item.__version__) == f"{job_item.__version__} ({commit})"
    with zipfile.ZipFile(dist / "job_item.pyz") as archive:
        facts = archive.read("PEX-INFO").decode()
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(1980, 1, 1)}
        assert not [name for name in archive.namelist() if "hatchling" in name]
    assert str(ROOT) not in facts
    assert "://" not in facts, "an index"


def test_the_wheel_runs_jobs_in_a_fresh_environment(dist: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (wheel,) = dist.glob("*.whl")
    run(BASE, "-m", "venv", "--without-pip", venv)
    run(
        *(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--no-compile"),
        *("--disable-pip-version-check", "--no-index", "--find-links", ROOT / "build" / "wheels", wheel),
    )
    command = venv / "bin" / "job_item"
    assert run(command, "--version") == f"job_item {name_version(job_item.__version__)}\n"
    with running(tmp_path / "node", {"jobs": [{"event": "hello", "cmd": SCRIPT}]}, BARE, [str(command)]) as node:
        task_id = node.submit("hello", {"name": "Ada"})
        node.await_status(task_id, "finish")
        assert node.output(task_id).decode().split("\n")[:3] == ["job of Ada", "saved", str(command)]
        assert node.stop() == 0


def test_a_pyz_runs_jobs_and_replaces_its_children(dist: Path, tmp_path: Path) -> None:
    pyz = [str(BASE), str(dist / "job_item.pyz")]
    environ = {**BARE, "PEX_ROOT": str(tmp_path / "unpacked")}
    assert run(*pyz, "--version", environ=environ) == f"job_item {name_version(job_item.__version__)}\n"
    with running(tmp_path / "node", {"jobs": [{"event": "hello", "cmd": SCRIPT}]}, environ, pyz) as node:
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: node.child_pid("worker") != worker, within_s=20)
        node.await_ready()
        task_id = node.submit("hello", {"name": "Ada"})
        node.await_status(task_id, "finish")
        said, saved, command = node.output(task_id).decode().split("\n")[:3]
        assert (said, saved) == ("job of Ada", "saved")
        assert command.startswith(environ["PEX_ROOT"])
        assert node.stop() == 0
