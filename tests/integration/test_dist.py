"""What `make dist` builds is what people install: into fresh environments, with nothing of the checkout at hand."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import job_item
from job_item.built import name_version
from tests.artifacts import BASE, built_as, run
from tests.conftest import ROOT, eventually
from tests.nodes import Node, running
from tests.releases import releasing, runs

pytestmark = pytest.mark.timeout(900)

SCRIPT = 'echo "job of {{name}}"; echo saved | job_item save; command -v job_item'
BARE = {"PYTHONPATH": "", "PATH": "/usr/local/bin:/usr/bin:/bin"}
"""Over the environment of a test: nothing of the checkout, nothing of its environment."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of commands that are run from the pyz: it unpacks itself once, for all tests."""
    return {**BARE, "PEX_ROOT": str(tmp_path_factory.mktemp("unpacked"))}


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


def test_a_pyz_runs_jobs_and_replaces_its_children(dist: Path, unpacked: dict[str, str], tmp_path: Path) -> None:
    pyz = [str(BASE), str(dist / "job_item.pyz")]
    assert run(*pyz, "--version", environ=unpacked) == f"job_item {name_version(job_item.__version__)}\n"
    with running(tmp_path / "node", {"jobs": [{"event": "hello", "cmd": SCRIPT}]}, unpacked, pyz) as node:
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: node.child_pid("worker") != worker, within_s=60)
        node.await_ready()
        task_id = node.submit("hello", {"name": "Ada"})
        node.await_status(task_id, "finish")
        said, saved, command = node.output(task_id).decode().split("\n")[:3]
        assert (said, saved) == ("job of Ada", "saved")
        assert command.startswith(unpacked["PEX_ROOT"])
        assert node.stop() == 0


REFUSED = {
    "forged": "ERR-REL-003",
    "damaged": "ERR-REL-011",
    "of another platform": "ERR-REL-004",
    "older": "ERR-REL-005",
}


def test_a_node_of_one_build_takes_the_next_and_nothing_else(
    dist: Path, unpacked: dict[str, str], tmp_path: Path
) -> None:
    releases, forgeries = tmp_path / "releases", tmp_path / "forgeries"
    with releasing(releases) as maker, releasing(forgeries) as forger:
        pyz = built_as(dist, "9.0", releases / "job_item.pyz")
        good = maker.sign(pyz, "9.0")
        half, forged = releases / "half.pyz", forgeries / "job_item.pyz"
        shutil.copy(pyz, forged)
        shutil.copy(pyz, half)
        addresses = {
            "forged": forger.sign(forged, "9.0"),
            "damaged": maker.sign(half, "9.1"),
            "of another platform": maker.sign(pyz, "9.2", platform="linux-vax"),
            "older": maker.sign(pyz, "0.0.9"),
            "good": good,
        }
        os.truncate(half, 1 << 20)
        settings = {
            "jobs": [{"event": "held", "cmd": "while [ ! -e go ]; do sleep 0.02; done; echo held"}],
            "update": {"public_key": maker.public_key, "watch": 1, "ready": 180},
        }
        command = [str(BASE), str(dist / "job_item.pyz")]
        run(*command, "--version", environ=unpacked)  # it unpacks itself
        with running(tmp_path / "node", settings, unpacked, command) as node:
            job = node.submit("held")
            node.await_status(job, "running")
            said = {name: update(command, unpacked, node, address) for name, address in addresses.items()}
            assert {name: said[name][said[name].find("ERR-REL-") :][:11] for name in REFUSED} == REFUSED
            assert '"is_running": true' in said["good"], said
            assert len(node.job(job)["attempts"]) == 1 and node.job(job)["status"] == "running"
            (node.folder / "go").touch()
            eventually(lambda: runs(node, "9.0"), within_s=180, what=node.log.read_text()[-3000:])
            eventually(lambda: node.health()["versions"]["last"]["result"] == "confirmed", within_s=180, what="kept")
            assert node.process is not None and node.process.poll() is None
            assert node.job(job)["status"] == "finish" and len(node.job(job)["attempts"]) == 1
            assert "was taken already" in update(command, unpacked, node, good), "a replay"
            assert node.stop() == 0


def update(command: list[str], environ: dict[str, str], node: Node, address: str) -> str:
    """Ask for an update; what is said."""
    ended = subprocess.run(
        [*command, "update", "--apply", address, "--config", str(node.folder / "config.yaml")],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return ended.stdout + ended.stderr
