"""What the kernel says of a node's processes: memory, processor time, wake-ups."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from job_item.process import parent_of
from tests.nodes import Node


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the node itself; what its jobs and execs run is not among them."""

    pid: int
    role: str


def own_processes(node: Node) -> list[Process]:
    """The node's own processes with what each of them is."""
    health = node.health()
    named = {node.pid: "supervisor", health["worker"]["pid"]: "job child", health["execs"]["pid"]: "execs child"}
    found: list[Process] = []
    zygotes: set[int] = set()
    for pid in node.processes():
        if not _is_ours(pid):
            continue
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        role = named.get(pid)
        if role is None and b"keeper.zygote" in command:
            role = "keeper" if parent_of(pid) in zygotes else "zygote"
            zygotes.add(pid)
        found.append(Process(pid, role or "forkserver"))
    return found


def _is_ours(pid: int) -> bool:
    """Whether the process runs our interpreter: keepers are forks, commands have executed something else."""
    try:
        return Path(f"/proc/{pid}/exe").samefile(sys.executable)
    except OSError:
        return False


def pss_bytes(pid: int) -> int:
    """Proportional set size: its own memory and its share of what it has in common with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_s(pid: int) -> float:
    """Processor time of the threads that the process has now, its children not counted."""
    schedules = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(schedule.read_text().split()[0]) for schedule in schedules) / 1e9


def wake_ups(pid: int) -> int:
    """How often its threads have gone to sleep of their own accord; each such sleep ends with a wake-up."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total
