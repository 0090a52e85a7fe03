"""Short jobs from the queue, with journal, task file and output kept, against `xargs -P4` that keeps nothing.

Four jobs at a gate hold the four slots while 2,000 jobs are queued over HTTP; the clock runs from the first start to
the last end as the journal has them.
"""

from __future__ import annotations

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
COMMANDS: dict[str, tuple[str | list[str], tuple[str, ...]]] = {
    "shell": ("true", ("bash", "-c", "true")),
    "list": (["/bin/true"], ("/bin/true",)),
}
"""By event: the `cmd` of the job, and what xargs runs."""


@dataclass(frozen=True, slots=True)
class Run:
    """2,000 jobs: seconds by the journal's moments, by the wall clock, and the processor time of who runs them."""

    journal_s: float
    wall_s: float
    worker_cpu_s: float
    keepers_cpu_s: float


def measure(tier: Tier) -> list[Figure]:
    """Run node and xargs in turn, once for each kind of command and round."""
    xargs: dict[str, list[float]] = {event: [] for event in COMMANDS}
    runs: dict[str, list[Run]] = {event: [] for event in COMMANDS}
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            jobs = [{"event": event, "cmd": cmd} for event, (cmd, _) in COMMANDS.items()]
            jobs.append({"event": "gate", "cmd": gate.pass_command})
            with running(folder, {"jobs": jobs, "limits": {"concurrency": SLOTS}}) as node:
                for _ in range(ROUNDS[tier]):
                    for event, (_, argv) in COMMANDS.items():
                        xargs[event].append(_run_xargs(argv))
                        runs[event].append(_run_node(node, gate, event))
    return [figure for event in COMMANDS for figure in _figures(event, runs[event], xargs[event])]


def _figures(event: str, runs: Sequence[Run], xargs: Sequence[float]) -> list[Figure]:
    command = " ".join(COMMANDS[event][1])
    rate = JOBS / median(run.journal_s for run in runs)
    wall = JOBS / median(run.wall_s for run in runs)
    worker_us = median(run.worker_cpu_s for run in runs) / JOBS * 1e6
    keepers_us = median(run.keepers_cpu_s for run in runs) / JOBS * 1e6
    peer = (f"`xargs -P{SLOTS} -I_ {command}`", JOBS / median(xargs))
    return [
        against(f"{JOBS:,} queued jobs `{command}`", rate, "/s", peer, FLOOR),
        Figure("- by the wall clock, the last status durable", amount(wall, "/s")),
        Figure("- processor time a job: job child, keepers", f"{amount(worker_us, 'us')}, {amount(keepers_us, 'us')}"),
    ]


def _run_xargs(argv: Sequence[str]) -> float:
    lines = "".join(f"{number}\n" for number in range(JOBS)).encode()
    begun = time.perf_counter()
    subprocess.run(("xargs", f"-P{SLOTS}", "-I_", *argv), input=lines, check=True, timeout=LIMIT_S)
    return time.perf_counter() - begun


def _run_node(node: Node, gate: Gate, event: str) -> Run:
    """Queue the jobs behind the gate, let it go, wait for the last status in the journal."""
    holders = [node.submit("gate") for _ in range(SLOTS)]
    for holder in holders:
        node.await_status(holder, "running")
    reader = open_reader(node.state / "journal.sqlite")
    ((last_seq,),) = reader.execute("SELECT max(seq) FROM tasks").fetchall()
    create(node.port, 8, JOBS, event)
    processes = own_processes(node)
    worker = [process.pid for process in processes if process.role == "job child"]
    keepers = [process.pid for process in processes if process.role == "keeper"]
    worker_cpu_s, keepers_cpu_s = sum(map(cpu_s, worker)), sum(map(cpu_s, keepers))
    unfinished = "SELECT 1 FROM tasks WHERE status IN ('queued', 'running') LIMIT 1"
    gate.let_go(SLOTS)
    begun = time.perf_counter()
    eventually(lambda: not reader.execute(unfinished).fetchall(), within_s=LIMIT_S, what=f"{JOBS} jobs have ended")
    wall_s = time.perf_counter() - begun
    worker_cpu_s, keepers_cpu_s = sum(map(cpu_s, worker)) - worker_cpu_s, sum(map(cpu_s, keepers)) - keepers_cpu_s
    ((first, last, finished),) = reader.execute(
        "SELECT min(started_at), max(finished_at), count(*) FROM tasks"
        " WHERE seq > ? AND event = ? AND status = 'finish'",
        (last_seq, event),
    ).fetchall()
    reader.close()
    assert finished == JOBS, f"{finished} of {JOBS} jobs have finished"
    return Run(last - first, wall_s, worker_cpu_s, keepers_cpu_s)
