"""What `make dist` builds, for tests: built once, and used as on a machine that has nothing else."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tools.dist import build
from tools.wheelhouse import Target

BASE = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
"""The machine's own Python."""


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, the pyz for the Python of this test alone."""
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
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}"
    return ended.stdout
