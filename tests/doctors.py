"""A machine for `doctor` to look at, and one line of what it says."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from job_item import __version__
from job_item.hardware.disk import Usage
from supervisor.doctor.examine import case_of
from supervisor.doctor.line import Case, Line

GB = 1 << 30
WIDE = Usage(100 * GB, 50 * GB, 10**7, 10**6)
CGROUP = {
    "sys/fs/cgroup/cgroup.controllers": "",
    "proc/self/cgroup": "0::/jobs\n",
    "sys/fs/cgroup/jobs/cgroup.procs": "",
}
HEALTH: dict[str, Any] = {"version": __version__}
READY: dict[str, Any] = {"ready": True, "reasons": []}


def case(folder: Path, config: str = "", environ: dict[str, str] | None = None) -> Case:
    """A node whose settings are `config`."""
    path = folder / "config.yaml"
    path.write_text(config or "{state_dir: state}\n")
    path.chmod(0o600)
    return case_of(path, {**os.environ, **(environ or {})})


def only(lines: Iterable[Line], verdict: str, code: str | None = None) -> Line:
    """The one line that there is, which says what is expected."""
    (line,) = lines
    assert (line.verdict, line.code) == (verdict, code), line
    assert (verdict == "ok") == (line.remedy == "")
    assert line.said[-1] in ".?"
    return line
