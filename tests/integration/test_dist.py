"""What `make dist` builds is what people install: into fresh environments, with nothing of the checkout at hand."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import job_item
from job_item.built import name_version
from tests.conftest import ROOT, eventually, free_port
from tests.nodes import running
from tests.services import ServiceManager
from tests.units import Supervised, read_unit
from tools.dist import build
from tools.wheelhouse import Target

pytestmark = [pytest.mark.xdist_group("dist"), pytest.mark.timeout(600)]

BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
SCRIPT = 'echo "job of {{name}}"; echo saved | job_item save; command -v job_item'


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, built once, the pyz for the Python of this test alone."""
    folder = tmp_path_factory.mktemp("dist")
    build(folder, [Target(sys.version_info.minor, platform.machine())])
    return folder


def run(*words: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """A command on a machine that has nothing but its programs; what it prints."""
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    ended = subprocess.run(
        [str(word) for word in words],
        env={**clean, **(environ or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


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
    with running(tmp_path / "node", {"jobs": [{"event": "hello", "cmd": SCRIPT}]}, bare(), [str(command)]) as node:
        task_id = node.submit("hello", {"name": "Ada"})
        node.await_status(task_id, "finish")
        assert node.output(task_id).decode().split("\n")[:3] == ["job of Ada", "saved", str(command)]
        assert node.stop() == 0


def bare() -> dict[str, str]:
    """Over the environment of a test: nothing of the checkout, nothing of its environment."""
    return {"PYTHONPATH": "", "PATH": "/usr/local/bin:/usr/bin:/bin"}


@dataclass(frozen=True)
class Home:
    """The home of somebody who has the pyz and whose systemd is a program that notes what it is asked."""

    path: Path
    pyz: Path
    port: int

    @property
    def environ(self) -> dict[str, str]:
        programs = f"{self.path / 'programs'}:/usr/local/bin:/usr/bin:/bin"
        return {"HOME": str(self.path), "PATH": programs, "XDG_RUNTIME_DIR": str(self.path / "run")}

    def job_item(self, *words: str) -> str:
        return run(BASE, self.pyz, *words, environ=self.environ, cwd=self.path)

    @property
    def config(self) -> Path:
        return self.path / ".config" / "job_item" / "config.yaml"


@pytest.fixture(scope="module")
def home(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user's service, installed from the pyz."""
    path = tmp_path_factory.mktemp("home")
    (path / "run" / "systemd").mkdir(parents=True)
    (path / "programs").mkdir()
    systemctl = path / "programs" / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >> {path}/asked\n')
    systemctl.chmod(0o755)
    home = Home(path, dist / "job_item.pyz", free_port())
    planned = home.job_item("install-service", "--user", "--dry-run")
    assert not (path / ".local").exists(), "a dry run does nothing"
    home.job_item("install-service", "--user")
    for line in (path / "asked").read_text().splitlines():
        assert f"systemctl {line}" in planned
    text = home.config.read_text().replace("8080", str(home.port))
    home.config.write_text(
        f"{text}\nheartbeat: {{interval: 1s}}\n".replace("echo Hello, {{name}}.", "echo Hi {{name}}")
    )
    return home


def test_a_pyz_installs_itself_as_a_service_of_a_user(home: Home) -> None:
    assert (home.path / "asked").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable job-item.service",
        "--user restart job-item.service",
    ]
    link = home.path / ".local" / "bin" / "job_item"
    unit = read_unit((home.path / ".config/systemd/user/job-item.service").read_text())
    assert unit["Service"]["ExecStart"] == f"{link.readlink()} --config {home.config}"
    assert run(link, "--version") == home.job_item("--version") == f"job_item {name_version(job_item.__version__)}\n"
    assert list(link.readlink().parent.parent.rglob("typer/__pycache__/*.pyc")), "compiled beforehand"
    before = set((home.path / ".local/share/job_item").iterdir())
    again = home.job_item("install-service", "--user", "--dry-run")
    assert "PEX_TOOLS" not in again, "the same version is not unpacked twice"
    assert str(home.config) not in [line.split()[2] for line in again.splitlines() if line.startswith("# write")]
    assert set((home.path / ".local/share/job_item").iterdir()) == before


@pytest.fixture
def service(home: Home, short_tmp: Path) -> Iterator[Supervised]:
    unit = read_unit((home.path / ".config/systemd/user/job-item.service").read_text())
    with ServiceManager(short_tmp / "notify") as manager:
        service = Supervised(unit, home.path, manager, {"PATH": "/usr/local/bin:/usr/bin:/bin"})
        try:
            yield service
        finally:
            service.destroy()


def test_a_unit_keeps_a_node_alive_that_runs_jobs(home: Home, service: Supervised) -> None:
    service.start()
    link = home.path / ".local" / "bin" / "job_item"
    assert "Hi Ada" in run(link, "submit", "hello", "name=Ada", "--follow", environ=home.environ | at(home))
    service.signal(signal.SIGKILL)
    assert service.attend(), service.log.read_text()
    assert "Hi Eve" in run(link, "submit", "hello", "name=Eve", "--follow", environ=home.environ | at(home))
    assert service.stop() == 0, service.log.read_text()
    assert not service.attend(), "a clean end is an end"
    assert service.starts == 2


def at(home: Home) -> dict[str, str]:
    return {"CONFIG_PATH": str(home.config)}


def test_a_unit_does_not_start_a_node_again_that_refuses_its_settings(home: Home, service: Supervised) -> None:
    good = home.config.read_text()
    home.config.write_text("jobs: nonsense\n")
    try:
        service._start()
        assert not service.attend()
        assert service.process is not None
        assert service.process.returncode == 78
    finally:
        home.config.write_text(good)


def test_a_pyz_survives_the_loss_of_its_children(home: Home, tmp_path: Path) -> None:
    settings = {"jobs": [{"event": "hello", "cmd": SCRIPT}]}
    command = [str(BASE), str(home.pyz)]
    with running(tmp_path / "node", settings, {**home.environ, "PYTHONPATH": ""}, command) as node:
        worker = node.child_pid("worker")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: node.child_pid("worker") != worker, within_s=20)
        node.await_ready()
        task_id = node.submit("hello", {"name": "Ada"})
        node.await_status(task_id, "finish")
        assert node.output(task_id).startswith(b"job of Ada\nsaved\n")
        assert node.stop() == 0
