"""A stretch of short jobs that waited behind a gate: how long they took by the journal, and what they cost."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.gate import Gate
from benchmarks.processes import cpu_s, own_processes
from tests.conftest import eventually
from tests.nodes import Node
from worker.journal.schema import open_reader

SLOTS = 4
JOBS = {"smoke": 200, "quick": 2_000, "night": 2_000}
LIMIT_S = 120.0
ROLES = ("job child", "keeper")


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of a run, in seconds."""

    worker_s: float
    keepers_s: float
    commands_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.worker_s + self.keepers_s + self.commands_s


@dataclass(frozen=True, slots=True)
class Run:
    """Jobs: seconds by the journal's moments and by the wall clock, and what they cost."""

    journal_s: float
    wall_s: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class PeerRun:
    """Commands by xargs: seconds, and its processor time, that of the commands included."""

    wall_s: float
    cost_s: float


def run_xargs(argv: Sequence[str], jobs: int) -> PeerRun:
    """Run the commands four at a time."""
    lines = "".join(f"{number}\n" for number in range(jobs)).encode()
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(("xargs", f"-P{SLOTS}", "-I_", *argv), input=lines, check=True, timeout=LIMIT_S)
    wall_s, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return PeerRun(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run_node(node: Node, gate: Gate, fill: Callable[[], object], jobs: int) -> Run:
    """Have `fill` queue the jobs while a gate holds all slots, let it go, wait for the last status in the journal."""
    for holder in [node.submit("gate") for _ in range(SLOTS)]:
        node.await_status(holder, "running")
    reader = open_reader(node.state / "journal.sqlite")
    ((last_seq,),) = reader.execute("SELECT max(seq) FROM tasks").fetchall()
    fill()
    pids = {role: [process.pid for process in own_processes(node) if process.role == role] for role in ROLES}
    before = {role: sum(map(cpu_s, pids[role])) for role in ROLES}
    begun = time.perf_counter()
    gate.let_go(SLOTS)
    ended = f"SELECT count(*) FROM tasks WHERE seq > {last_seq} AND status NOT IN ('queued', 'running')"
    eventually(lambda: reader.execute(ended).fetchall() == [(jobs,)], within_s=LIMIT_S, what=f"{jobs} jobs have ended")
    wall_s = time.perf_counter() - begun
    worker_s, keepers_s = (sum(map(cpu_s, pids[role])) - before[role] for role in ROLES)
    run = _read(reader, last_seq, jobs, wall_s, Cost(worker_s, keepers_s, 0.0))
    reader.close()
    return run


def _read(reader: sqlite3.Connection, last_seq: int, jobs: int, wall_s: float, cost: Cost) -> Run:
    """What the journal says of the jobs after `last_seq`; all of them have finished well. `cost` lacks the commands."""
    ((first, last, finished),) = reader.execute(
        "SELECT min(started_at), max(finished_at), count(*) FROM tasks WHERE seq > ? AND status = 'finish'", (last_seq,)
    ).fetchall()
    assert finished == jobs, f"{finished} of {jobs} jobs have finished"
    results = reader.execute("SELECT result FROM attempts WHERE seq > ?", (last_seq,)).fetchall()
    commands_s = sum(json.loads(result)["usage"]["cpu_s"] for (result,) in results)
    return Run(last - first, wall_s, replace(cost, commands_s=commands_s))
