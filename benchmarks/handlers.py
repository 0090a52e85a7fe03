"""Python handlers that do nothing, from the embedded queue, beside task queues over Redis; how soon they start and end.

A gate holds all slots while the jobs are queued over HTTP; the clock runs from the first start to the last end as the
journal has them. Every job is durable, claimed and settled, its output checked and kept. The peers have two processes
each. The start is what the handler's own clock says
against the claim in the journal; the end of a cancelled one that does not listen is seen by its pid.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.client import create
from benchmarks.gate import Gate, gate_at
from benchmarks.processes import cpu_s
from benchmarks.table import Figure, Tier, amount, at_least, at_most, percentile
from benchmarks.taskpeers import PEERS, rate_of
from tests.conftest import eventually
from tests.nodes import Node, is_alive, running, tree_of
from worker.journal.schema import open_reader

SLOTS = 4
JOBS = {"smoke": 500, "quick": 5_000, "night": 50_000}
PEER_TASKS = {"smoke": 200, "quick": 2_000, "night": 10_000}
ROUNDS = {"smoke": 1, "quick": 3, "night": 3}
STARTS, CANCELS = 50, 5
GRACE_S = 0.2
LIMIT_S = 180.0
FLOOR_PER_S = 7_000
ACTS = """
import os, time

def nothing(given: dict) -> None:
    pass

def moment(given: dict) -> float:
    return time.time()

def deaf(given: dict) -> None:
    with open(given["path"], "w") as file:
        file.write(str(os.getpid()))
    while True:
        time.sleep(0.01)
"""


def measure(tier: Tier) -> list[Figure]:
    """The node first, then each peer, all of them in the same run."""
    count = JOBS[tier]
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        (folder / "acts.py").write_text(ACTS)
        with gate_at(folder / "gate") as gate:
            jobs = [
                {"event": "nothing", "handler": "acts:nothing"},
                {"event": "moment", "handler": "acts:moment", "on_lost": "error"},
                {"event": "deaf", "handler": "acts:deaf", "kill_grace": GRACE_S},
                {"event": "gate", "cmd": gate.pass_command},
            ]
            with running(folder, {"jobs": jobs, "limits": {"concurrency": SLOTS}}) as node:
                runs = [_run(node, gate, count) for _ in range(ROUNDS[tier])]
                starts_s = _starts(node)
                ends_s = [_end(node, folder / f"pid{number}") for number in range(CANCELS)]
        rates = {peer.name: rate_of(peer, PEER_TASKS[tier], folder / peer.name) for peer in PEERS}
    return [*_throughput(runs, count, rates), *_moments(starts_s, ends_s)]


def _throughput(runs: Sequence[tuple[float, float, float]], count: int, rates: dict[str, float]) -> list[Figure]:
    rate = median(per_s for per_s, _, _ in runs)
    told = ", ".join(f"{name} {per_s:,.0f}/s" for name, per_s in rates.items())
    best = max(rates.values())
    return [
        at_least(f"{count:,} queued no-op handlers", rate, FLOOR_PER_S, "/s"),
        Figure("- ahead of the task queues", amount(rate, "/s"), told, rate / best, "> 1 times the best", rate > best),
        Figure(
            "- processor time a job",
            f"job child {median(child for _, child, _ in runs):.0f} us, "
            f"hands and keepers {median(hands for _, _, hands in runs):.0f} us",
        ),
    ]


def _moments(starts_s: Sequence[float], ends_s: Sequence[float]) -> list[Figure]:
    beside = f"p95 {percentile(starts_s, 95) * 1000:.1f} ms"
    return [
        at_most("claim to the start of the handler, p50", median(starts_s) * 1000, 10, "ms", beside=beside),
        at_most(
            f"cancel to the process gone, grace {GRACE_S * 1000:.0f} ms",
            median(ends_s) * 1000,
            GRACE_S * 1000 + 100,
            "ms",
            beside=f"longest {max(ends_s) * 1000:.0f} ms",
        ),
    ]


def _run(node: Node, gate: Gate, count: int) -> tuple[float, float, float]:
    """Jobs a second, and microseconds of processor time a job: of the job child, and of all below it."""
    for holder in [node.submit("gate") for _ in range(SLOTS)]:
        node.await_status(holder, "running")
    reader = open_reader(node.state / "journal.sqlite")
    ((last_seq,),) = reader.execute("SELECT max(seq) FROM tasks").fetchall()
    create(node.port, 8, count, "nothing")
    worker = node.child_pid("worker")
    before = _cpu_of(worker)
    gate.let_go(SLOTS)
    left = "SELECT 1 FROM tasks WHERE status IN ('queued', 'running') LIMIT 1"
    eventually(lambda: not reader.execute(left).fetchall(), within_s=LIMIT_S, what=f"{count} jobs have ended")
    after = _cpu_of(worker)
    ((first, last, ended),) = reader.execute(
        "SELECT min(started_at), max(finished_at), count(*) FROM tasks"
        " WHERE seq > ? AND status = 'finish' AND event = 'nothing'",
        (last_seq,),
    ).fetchall()
    reader.close()
    assert ended == count, f"{ended} of {count} jobs have finished"
    child_us, below_us = ((late - early) / count * 1e6 for early, late in zip(before, after, strict=True))
    return count / (last - first), child_us, below_us


def _cpu_of(worker: int) -> tuple[float, float]:
    return cpu_s(worker), sum(cpu_s(pid) for pid in tree_of(worker) if pid != worker)


def _starts(node: Node) -> list[float]:
    """From the claim to the first line of the handler, one job after the other."""
    reader = open_reader(node.state / "journal.sqlite")
    found = []
    for _ in range(STARTS):
        job = node.await_status(node.submit("moment"))
        ((claimed,),) = reader.execute("SELECT started_at FROM tasks WHERE task_id = ?", (job["task_id"],)).fetchall()
        found.append(job["output"] - claimed)
    reader.close()
    return found


def _end(node: Node, path: Path) -> float:
    """From the cancel of a handler that does not listen to the end of its process."""
    task_id = node.submit("deaf", {"path": str(path)})
    pid = int(eventually(lambda: path.exists() and path.read_text(), what="it has begun"))
    assert os.getpgid(pid) == pid
    begun = time.perf_counter()
    assert node.ask("POST", f"/jobs/{task_id}/cancel")[0] == 200
    while is_alive(pid):
        time.sleep(0.001)
    return time.perf_counter() - begun
