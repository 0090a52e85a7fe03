"""From which commit this code was built: what is built has it in a file, a checkout asks git.

Nothing but the standard library is imported: the build hook loads this file by itself.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMIT_FILE = Path(__file__).parent / "commit.txt"
"""Written by the build (tools/stamp.py); never in a checkout."""

_GIT_S = 5.0


def name_version(version: str) -> str:
    """`version` with the commit behind it, where that is known: `1.2.3 (0a1b2c3d4e5f)`."""
    commit = find_commit()
    return f"{version} ({commit})" if commit else version


def find_commit() -> str:
    """The commit, with `-dirty` behind it where files had been changed; empty where nobody knows."""
    try:
        return COMMIT_FILE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return _ask_git(COMMIT_FILE.parent.parent)


def _ask_git(checkout: Path) -> str:
    """Only in a checkout of our own: an environment may lie in the checkout of something else."""
    if not (checkout / ".git").exists():
        return ""
    try:
        said = subprocess.run(
            ["git", "--no-optional-locks", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
            cwd=checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return said.stdout.strip()
