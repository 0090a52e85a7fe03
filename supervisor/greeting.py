"""What the node says to the person who started it, once it can be used."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from job_item.link import ChildStart


def greeting(start: ChildStart) -> str:
    """Where the API and its documentation are, and a command to try."""
    lines = [f"The API is at            {start.base_url}", f"Its documentation is at  {start.base_url}/docs"]
    if start.settings.jobs:
        words = [*_command(), *_config(start.config_path), "submit", start.settings.jobs[0].event, "--follow"]
        lines.append(f"Try                      {shlex.join(words)}")
    return "\n".join(lines)


def _command() -> list[str]:
    """How this program is called from the shell that the person sits at."""
    if shutil.which("job_item"):
        return ["job_item"]
    if Path(sys.argv[0]).name == "job_item":
        return [sys.argv[0]]
    return [sys.executable, "-m", "supervisor"]


def _config(path: Path) -> list[str]:
    return [] if path == Path("config.yaml").absolute() else ["--config", str(path)]
