"""`resources` of a job or an exec: what the kernel holds its processes to."""

from __future__ import annotations

import math
import resource

from pydantic import Field

from job_item.kinds import Bytes, Passable, Seconds
from job_item.section import Section


class Resources(Section):
    """`resources`: limits of each process, niceness, cgroup. What is not set is as the node was started with."""

    nice: int = Field(default=0, ge=-20, le=19)
    """Niceness."""
    memory: Bytes | None = Field(default=None, gt=0)
    """Address space of each process."""
    cpu_time: Seconds | None = Field(default=None, gt=0)
    """CPU time of each process."""
    open_files: int | None = Field(default=None, gt=0)
    """Open files of each process."""
    file_size: Bytes | None = Field(default=None, ge=0)
    """Largest file a process may write."""
    processes: int | None = Field(default=None, gt=0)
    """Processes of the user."""
    core: Bytes | None = Field(default=None, ge=0)
    """Size of core dumps."""
    cgroup: Passable | None = Field(default=None, min_length=1)
    """Path of a writable cgroup (version 2) to put the processes into."""


def rlimits(resources: Resources) -> dict[int, int]:
    """The limits of `resources` by the numbers of the `resource` module."""
    wanted = {
        resource.RLIMIT_AS: resources.memory,
        resource.RLIMIT_CPU: None if resources.cpu_time is None else math.ceil(resources.cpu_time),
        resource.RLIMIT_NOFILE: resources.open_files,
        resource.RLIMIT_FSIZE: resources.file_size,
        resource.RLIMIT_NPROC: resources.processes,
        resource.RLIMIT_CORE: resources.core,
    }
    return {kind: value for kind, value in wanted.items() if value is not None}
