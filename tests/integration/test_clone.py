"""From clone to a watched job, as a newcomer goes: `make run` in a fresh copy with nothing of ours, then a command."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, eventually
from tests.nodes import tree_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
"""Installing takes its time and needs the package index, so this is no test for every edit."""

FOREIGN = re.compile(r"(MAKE|MFLAGS|VIRTUAL_ENV|PYTHONPATH)")
"""Variables of the environment that the tests run in, and of the `make` that runs them."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that the repository holds, the new ones included, in a folder of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def make_run(clone: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make run`, leader of a process group of its own as in a terminal; its words go to node.log."""
    with (clone / "node.log").open("wb") as output:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=clone,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not FOREIGN.match(name)},
        )
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_s(pid: int) -> float:
    """The processor time of a process itself."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def children_cpu_s() -> float:
    """The processor time of all children that this process has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_make_run_leads_from_a_clone_to_a_watched_job(clone: Path, make_run: subprocess.Popen[bytes]) -> None:
    def words() -> str:
        return (clone / "node.log").read_text(errors="replace")

    eventually(
        lambda: (clone / ".venv" / "installed").exists() or make_run.poll() is not None, within_s=500, what="installed"
    )
    eventually(
        lambda: (clone / ".job_item" / "node.json").exists() or make_run.poll() is not None,
        within_s=120,
        what="the node is up",
    )
    assert make_run.poll() is None, words()

    # A second terminal.
    before_s = children_cpu_s()
    seen = subprocess.run(
        [clone / ".venv" / "bin" / "job_item", "submit", "hello", "--follow"],
        cwd=clone,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert seen.returncode == 0, seen.stderr + words()
    assert "Hello from" in seen.stdout
    # By its processor time, as other work on the machine does not count. What installs has ended.
    used_s = children_cpu_s() - before_s + sum(map(cpu_s, tree_of(make_run.pid)))
    assert used_s < 10, "ready within 10 s after installation"
    assert "http://127.0.0.1:" in words() and "/docs" in words() and "job_item submit hello" in words()

    # Ctrl-C reaches the whole group of the terminal, and make waits for the node.
    os.killpg(make_run.pid, signal.SIGINT)
    assert make_run.wait(timeout=120) in (0, -signal.SIGINT, 2), words()
    assert not (clone / ".job_item" / "node.json").exists(), "a clean stop"
