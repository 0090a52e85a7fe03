"""Short jobs from the queue, with journal, task file and output kept, against `xargs -P4` that keeps nothing.

Four jobs at a gate hold the four slots while 2,000 jobs are queued over HTTP; the clock runs from the first start to
the last end as the journal has them.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.client import create
from benchmarks.gate import Gate, gate_at
from benchmarks.processes import cpu_s, own_processes
from benchmarks.table import Figure, Tier, against, amount
from tests.conftest import eventually
from tests.nodes import Node, running
from worker.journal.schema import open_reader

SLOTS = 4
JOBS = 2_000
ROUNDS = {"quick": 3, "night": 9}
LIMIT_S = 120.0
FLOOR = 0.9
ROLES = ("job child", "keeper")
COMMANDS: dict[str, tuple[str | list[str], tuple[str, ...]]] = {
    "shell": ("true", ("bash", "-c", "true")),
    "list": (["/bin/true"], ("/bin/true",)),
}
"""By event: the `cmd` of the job, and what xargs runs."""


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
    """2,000 jobs: seconds by the journal's moments and by the wall clock, and what they cost."""

    journal_s: float
    wall_s: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class PeerRun:
    """2,000 commands by xargs: seconds, and its processor time, that of the commands included."""

    wall_s: float
    cost_s: float


def measure(tier: Tier) -> list[Figure]:
    """Run node and xargs in turn, once for each kind of command and round."""
    peers: dict[str, list[PeerRun]] = {event: [] for event in COMMANDS}
    runs: dict[str, list[Run]] = {event: [] for event in COMMANDS}
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            jobs = [{"event": event, "cmd": cmd} for event, (cmd, _) in COMMANDS.items()]
            jobs.append({"event": "gate", "cmd": gate.pass_command})
            with running(folder, {"jobs": jobs, "limits": {"concurrency": SLOTS}}) as node:
                for _ in range(ROUNDS[tier]):
                    for event, (_, argv) in COMMANDS.items():
                        peers[event].append(_run_xargs(argv))
                        runs[event].append(_run_node(node, gate, event))
    return [figure for event in COMMANDS for figure in _figures(event, runs[event], peers[event])]


def _figures(event: str, runs: Sequence[Run], peers: Sequence[PeerRun]) -> list[Figure]:
    command = " ".join(COMMANDS[event][1])
    rate = JOBS / median(run.journal_s for run in runs)
    wall = JOBS / median(run.wall_s for run in runs)
    peer = (f"`xargs -P{SLOTS} -I_ {command}`", JOBS / median(run.wall_s for run in peers))
    cost = sorted((run.cost for run in runs), key=lambda cost: cost.total_s)[len(runs) // 2]
    peer_cost_s = median(run.cost_s for run in peers)
    parts = ", ".join(
        f"{what} {seconds / JOBS * 1e6:.0f}"
        for what, seconds in (
            ("job child", cost.worker_s),
            ("keepers", cost.keepers_s),
            ("commands", cost.commands_s),
        )
    )
    return [
        against(f"{JOBS:,} queued jobs `{command}`", rate, "/s", peer, FLOOR),
        Figure("- by the wall clock, the last status durable", amount(wall, "/s")),
        Figure(
            "- processor time a job",
            f"{amount(cost.total_s / JOBS * 1e6, 'us')} ({parts})",
            f"xargs and commands: {amount(peer_cost_s / JOBS * 1e6, 'us')}",
            peer_cost_s / cost.total_s,
        ),
    ]


def _run_xargs(argv: Sequence[str]) -> PeerRun:
    lines = "".join(f"{number}\n" for number in range(JOBS)).encode()
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(("xargs", f"-P{SLOTS}", "-I_", *argv), input=lines, check=True, timeout=LIMIT_S)
    wall_s, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return PeerRun(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _run_node(node: Node, gate: Gate, event: str) -> Run:
    """Queue the jobs behind the gate, let it go, wait for the last status in the journal."""
    for holder in [node.submit("gate") for _ in range(SLOTS)]:
        node.await_status(holder, "running")
    reader = open_reader(node.state / "journal.sqlite")
    ((last_seq,),) = reader.execute("SELECT max(seq) FROM tasks").fetchall()
    create(node.port, 8, JOBS, event)
    pids = {role: [process.pid for process in own_processes(node) if process.role == role] for role in ROLES}
    before = {role: sum(map(cpu_s, pids[role])) for role in ROLES}
    begun = time.perf_counter()
    gate.let_go(SLOTS)
    unfinished = "SELECT 1 FROM tasks WHERE status IN ('queued', 'running') LIMIT 1"
    eventually(lambda: not reader.execute(unfinished).fetchall(), within_s=LIMIT_S, what=f"{JOBS} jobs have ended")
    wall_s = time.perf_counter() - begun
    worker_s, keepers_s = (sum(map(cpu_s, pids[role])) - before[role] for role in ROLES)
    run = _read(reader, last_seq, wall_s, worker_s, keepers_s)
    reader.close()
    return run


def _read(reader: sqlite3.Connection, last_seq: int, wall_s: float, worker_s: float, keepers_s: float) -> Run:
    """What the journal says of the jobs after `last_seq`; all of them have finished well."""
    ((first, last, finished),) = reader.execute(
        "SELECT min(started_at), max(finished_at), count(*) FROM tasks WHERE seq > ? AND status = 'finish'", (last_seq,)
    ).fetchall()
    assert finished == JOBS, f"{finished} of {JOBS} jobs have finished"
    results = reader.execute("SELECT result FROM attempts WHERE seq > ?", (last_seq,)).fetchall()
    commands_s = sum(json.loads(result)["usage"]["cpu_s"] for (result,) in results)
    return Run(last - first, wall_s, Cost(worker_s, keepers_s, commands_s))
