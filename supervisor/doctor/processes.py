"""Whether every process of a job can be found and ended here: subreapers, process descriptors, cgroups, limits."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from job_item.process import pidfd
from supervisor.doctor.line import Case, Line, fail, ok, warn

PROBE_S = 5.0
PROCESSES_OF_A_JOB = 8
"""How many processes a job may have before `processes` is worried; the node itself has a few more."""
PROCESSES_BESIDES = 64
FILES_OF_A_JOB, FILES_BESIDES = 3, 64

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from supervisor.doctor.probe import main; main()"
_HOME = Path(__file__).resolve().parent.parent.parent


def keepers(case: Case) -> Iterator[Line]:
    """Whether a job's detached processes come back to whoever watches over it."""
    command = [sys.executable, "-I", "-S", "-c", _BOOT, str(_HOME)]
    try:
        said = subprocess.run(
            command, env=dict(case.environ), capture_output=True, timeout=PROBE_S, check=False, text=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        yield fail("keepers", "ERR-HST-101", f"A process that watches over jobs cannot be tried out: {error}.")
        return
    if said == "whole":
        yield ok("keepers", "Whatever a job starts, detached too, is found and ended with it.")
    else:
        yield warn("keepers", "ERR-HST-101", "Orphans of a job do not come back to the process that watches over it.")


def process_descriptors(_case: Case) -> Iterator[Line]:
    """Whether the kernel has descriptors for processes, by which a death is known for certain."""
    descriptor = pidfd(os.getpid())
    if descriptor is None:
        yield warn("pidfd", "ERR-HST-102", "There are no descriptors for processes here; deaths are told by signals.")
    else:
        os.close(descriptor)
        yield ok("pidfd", "The kernel has descriptors for processes.")


def cgroup(case: Case) -> Iterator[Line]:
    """Whether jobs can be put into groups of their own, which nothing escapes."""
    tree = case.root / "sys/fs/cgroup"
    if not (tree / "cgroup.controllers").exists():
        said = "There is no cgroup version 2 here; a job outlives its node only if all its keepers are killed at once."
        yield warn("cgroup", "ERR-HST-103", said)
    elif not _may_write(own := tree / _own_group(case.root)):
        yield warn("cgroup", "ERR-HST-103", f"The node's user may not make cgroups below {own}.")
    else:
        yield ok("cgroup", f"Cgroups can be made below {own}.")
    for job in case.loaded.settings.jobs if case.loaded else ():
        named = job.resources.cgroup
        if named and not os.access(Path(named) / "cgroup.procs", os.W_OK):
            yield fail("cgroup", "ERR-RUN-015", f"Jobs of {job.event!r} cannot be put into {named}.")


def _own_group(root: Path) -> str:
    try:
        rows = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ""
    return next((row[4:] for row in rows if row.startswith("0::/")), "")


def _may_write(group: Path) -> bool:
    return os.access(group, os.W_OK | os.X_OK) and os.access(group / "cgroup.procs", os.W_OK)


def open_files(case: Case) -> Iterator[Line]:
    """Whether the job child may open as many files as its jobs need."""
    wanted = FILES_OF_A_JOB * case.concurrency + FILES_BESIDES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        said = f"A process may open {most} files; {case.concurrency} jobs at once need about {wanted}."
        yield warn("open files", "ERR-CFG-026", said)
    else:
        shown = "without limit" if most == resource.RLIM_INFINITY else str(most)
        yield ok("open files", f"A process may open files: {shown}; about {wanted} are needed.")


def processes(case: Case) -> Iterator[Line]:
    """Whether there can be as many processes as jobs need: of this user, of this cgroup, of the system."""
    wanted = PROCESSES_OF_A_JOB * case.concurrency + PROCESSES_BESIDES
    limits = dict(_process_limits(case.root))
    name, least = min(limits.items(), key=lambda item: item[1], default=("", wanted))
    if least < wanted:
        said = f"{name} allows {least} processes; {case.concurrency} jobs at once may need {wanted}."
        yield warn("processes", "ERR-HST-104", said)
    else:
        yield ok("processes", f"There can be {least} processes at least; about {wanted} may be needed.")


def _process_limits(root: Path) -> Iterator[tuple[str, int]]:
    own, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if own != resource.RLIM_INFINITY and os.geteuid() != 0:
        yield "The limit of this user (ulimit -u)", own
    group = _own_group(root)
    files = {
        "The kernel (kernel.pid_max)": root / "proc/sys/kernel/pid_max",
        "The cgroup (pids.max)": root / "sys/fs/cgroup" / group / "pids.max",
    }
    for name, file in files.items():
        try:
            yield name, int(file.read_text())
        except (OSError, ValueError):
            continue  # not here, or `max`
