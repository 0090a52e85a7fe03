"""A node that has run jobs and now has nothing to do: its memory, and how often it wakes up.

Memory is PSS, summed over all processes of the node after 15 s of rest; what its jobs and execs run is not the node's.
Wake-ups are voluntary context switches of all threads within 10 s. Two children that send a heartbeat each 5 s to a
parent that reads it are the cause of 8; the limit leaves room for one beat of each more at the edges.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.processes import own_processes, pss_bytes, wake_ups
from benchmarks.table import Figure, Tier, amount, at_most
from tests.nodes import Node, running

REST_S = {"smoke": 1.0, "quick": 15.0, "night": 15.0}
WATCH_S = {"smoke": 2.0, "quick": 10.0, "night": 10.0}
ROUNDS = {"smoke": 1, "quick": 1, "night": 5}
LIMIT_MB, GOAL_MB = 100, 75
BEATS = 12
SETTINGS = {
    "jobs": [{"event": "true", "cmd": "true"}],
    "execs": [{"key": "sleeper", "cmd": "exec sleep 100000"}],
}


def measure(tier: Tier) -> list[Figure]:
    """Look at a fresh node in each round."""
    memory: dict[str, list[float]] = defaultdict(list)
    wakes: dict[str, list[int]] = defaultdict(list)
    for _ in range(ROUNDS[tier]):
        with TemporaryDirectory(prefix="ji-") as folder, running(Path(folder), SETTINGS) as node:
            for task_id in [node.submit("true") for _ in range(20)]:
                node.await_status(task_id, "finish")
            for role, (pss_mb, switches) in _watch(node, tier).items():
                memory[role].append(pss_mb)
                wakes[role].append(switches)
    mb = {role: median(values) for role, values in memory.items()}
    woken = {role: round(median(values)) for role, values in wakes.items()}
    total_mb, total_wakes = sum(mb.values()), sum(woken.values())
    return [
        at_most("idle: PSS of all processes", total_mb, LIMIT_MB, "MB"),
        at_most("- the goal beyond", total_mb, GOAL_MB, "MB"),
        *(Figure(f"- {role}", amount(mb[role], "MB")) for role in mb),
        at_most(f"idle: wake-ups in {WATCH_S[tier]:g} s", total_wakes, BEATS, "", beside=_listing(woken)),
    ]


def _watch(node: Node, tier: Tier) -> dict[str, tuple[float, int]]:
    """By role: megabytes after a rest, and wake-ups in a while of watching."""
    time.sleep(REST_S[tier])
    processes = own_processes(node)  # asks the job child, so it is asked before anything is counted
    found: dict[str, tuple[float, int]] = {}
    time.sleep(0.5)
    before = {process.pid: wake_ups(process.pid) for process in processes}
    time.sleep(WATCH_S[tier])
    for process in processes:
        pss_mb, switches = found.get(process.role, (0.0, 0))
        woken = wake_ups(process.pid) - before[process.pid]
        found[process.role] = (pss_mb + pss_bytes(process.pid) / 1e6, switches + woken)
    return found


def _listing(woken: dict[str, int]) -> str:
    return ", ".join(f"{role} {count}" for role, count in woken.items())
