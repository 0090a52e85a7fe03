"""Process 1 for tests: of a namespace of its own where this machine allows that; and its work alone, as a subreaper."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from supervisor.entry import PLAN_VARIABLE

_UNSHARE = ("--pid", "--fork", "--kill-child", "--mount-proc")

AS_SUBREAPER = f"""
import os, subprocess, sys
if {PLAN_VARIABLE!r} not in os.environ:
    from job_item.process import become_subreaper
    from supervisor.init import split
    become_subreaper()
    fifo = os.open(os.environ.pop("FOREIGN"), os.O_RDONLY)
    subprocess.Popen(["sh"], stdin=fifo, stdout=subprocess.DEVNULL, start_new_session=True).returncode = 0
    os.close(fifo)
    code = split()
    if code is not None:
        sys.exit(code)
from supervisor.entry import main
sys.exit(main())
"""
"""Beside the node it starts a shell that is none of the node's, which reads commands from the fifo FOREIGN."""


@cache
def way_into_namespace() -> tuple[str, ...]:
    """What before a command makes it process 1 of a namespace; empty where the kernel does not let us."""
    for start in (("unshare",), ("unshare", "--user", "--map-root-user")):
        try:
            subprocess.run([*start, *_UNSHARE, "true"], check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            continue
        return (*start, *_UNSHARE)
    return ()


def ways() -> list[str]:
    """How process 1 can be tested here."""
    return ["subreaper", *(["namespace"] if way_into_namespace() else [])]


class Foreign:
    """Somebody else in the container (as by `docker exec`), whose orphans fall to process 1 too."""

    def __init__(self, way: str, folder: Path) -> None:
        self._fifo = folder / "foreign"
        self._way = way
        folder.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self._fifo)
        self._held = os.open(self._fifo, os.O_RDWR)

    def run(self, first: int, script: str) -> None:
        """Have shell commands run where process 1 is `first`."""
        if self._way == "namespace":
            user = ("-U", "--preserve-credentials") if "--user" in way_into_namespace() else ()
            enter = ("nsenter", "-t", str(first), *user, "-p", "-m")
            subprocess.run([*enter, "sh", "-c", script], check=True, timeout=120)
        else:
            os.write(self._held, script.encode() + b"\n")

    def environ(self) -> dict[str, str]:
        """What the node is started with."""
        return {"FOREIGN": str(self._fifo)}

    def close(self) -> None:
        """Let the shell end."""
        os.close(self._held)


def command(way: str) -> tuple[str, ...]:
    """How the node is started."""
    if way == "namespace":
        return (*way_into_namespace(), sys.executable, "-m", "supervisor")
    return (sys.executable, "-c", AS_SUBREAPER)
