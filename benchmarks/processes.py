"""What the kernel says of a node's processes: memory, processor time, wake-ups."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.nodes import Node

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
            role = "keeper" if _parent(pid) in zygotes else "zygote"
            zygotes.add(pid)
        found.append(Process(pid, role or "forkserver"))
    return found


def _is_ours(pid: int) -> bool:
    """Whether the process runs our interpreter: keepers are forks, commands have executed something else."""
    try:
        return Path(f"/proc/{pid}/exe").samefile(sys.executable)
    except OSError:
        return False


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def pss_bytes(pid: int) -> int:
    """Proportional set size: its own memory and its share of what it has in common with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_s(pid: int) -> float:
    """Processor time of the process, its children not counted."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def wake_ups(pid: int) -> int:
    """How often its threads have gone to sleep of their own accord; each such sleep ends with a wake-up."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
