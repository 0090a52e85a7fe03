"""What `make dist` builds, for tests: built once, and used as on a machine that has nothing else."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools.dist import ROOT, build, commit_time, pack
from tools.wheelhouse import Target, gather, read_lock

BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""The machine's own Python."""


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, the pyz for the Python of this test alone."""
    folder = tmp_path_factory.mktemp("dist")
    build(folder, [Target(sys.version_info.minor, platform.machine())])
    return folder


def built_as(dist: Path, version: str, pyz: Path) -> Path:
    """The pyz of `dist` once more, as a later version of the same code."""
    (wheel,) = dist.glob("*.whl")
    later = pyz.with_name(wheel.name)
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(later, "w") as after:
        for entry in before.infolist():
            content = before.read(entry)
            if entry.filename == "job_item/__init__.py":
                content = re.sub(rb'__version__ = ".*"', f'__version__ = "{version}"'.encode(), content)
            after.writestr(entry, content)
    target = Target(sys.version_info.minor, platform.machine())
    pins = read_lock((ROOT / "requirements.lock").read_text())
    wheels = gather(ROOT / "build" / "wheels", wheel, pins, [target])
    pack(pyz, [later, *wheels], [target], {**os.environ, "SOURCE_DATE_EPOCH": str(commit_time())})
    return pyz


def run(*words: str | Path, environ: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """A command on a machine that has nothing but its programs; what it prints."""
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    ended = subprocess.run(
        [str(word) for word in words],
        env={**clean, **(environ or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}"
    return ended.stdout
