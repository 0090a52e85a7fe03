"""A queue of 1,000, 10,000 and 100,000 jobs, all of them taken in over HTTP by one job child.

A gate job holds the event's only slot. Behind it stand jobs that do nothing and more gates, so that one stretch of
jobs runs while 1,000 wait and an equal one while 100,000 wait. A job's time is that between two ends in a row.
"""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.client import Pace, create
from benchmarks.gate import Gate, gate_at
from benchmarks.processes import pss_bytes
from benchmarks.table import Figure, Tier, amount, at_most
from tests.nodes import Node, running
from worker.journal.schema import open_reader

DEPTHS = (1_000, 10_000, 100_000)
STRETCH = 480
"""Jobs that run between two gates; two stretches and their gates fit into the first depth."""
BLOCK, BLOCKS = 1_000, 3
"""Creates that are timed: right after the first depth is reached, right before the last."""
CONNECTIONS = 8
GROWTH_LIMIT_MB = 10
COST_LIMIT = 1.5
"""What "flat" leaves to chance; a queue that costs by its length would show a factor of 100."""
LIMIT_S = 60.0


class Found(NamedTuple):
    """By depth: megabytes of the job child, microseconds a create, milliseconds a job."""

    mb: dict[int, float]
    creates_us: dict[int, float]
    jobs_ms: dict[int, float]


def measure(tier: Tier) -> list[Figure]:
    """One queue; the night tier fills a second and a third, and takes the median of all."""
    found = [_fill_and_run() for _ in range(1 if tier == "quick" else 3)]
    mb, creates_us, jobs_ms = (
        {depth: median(one[part][depth] for one in found) for depth in found[0][part]} for part in range(3)
    )
    low, high = DEPTHS[0], DEPTHS[-1]
    depths = ", ".join(f"{depth:,}: {amount(mb[depth], 'MB')}" for depth in DEPTHS)
    return [
        at_most(
            f"memory for {high - low:,} more queued jobs", mb[high] - mb[low], GROWTH_LIMIT_MB, "MB", beside=depths
        ),
        _flat(f"create at {high:,} queued", creates_us, "us"),
        _flat(f"run of one job at {high:,} queued", jobs_ms, "ms"),
    ]


def _flat(what: str, cost: dict[int, float], unit: str) -> Figure:
    low, high = (cost[DEPTHS[0]], cost[DEPTHS[-1]])
    beside = f"at {DEPTHS[0]:,}: {amount(low, unit)}"
    target = f"flat (<= {COST_LIMIT:g} times)"
    return Figure(what, amount(high, unit), beside, high / low, target, high / low <= COST_LIMIT)


def _fill_and_run() -> Found:
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            # One command for gates and jobs: it reads one byte, from the gate or from a device that always has one.
            command = ["head", "-c", "1", "{{from}}"]
            jobs = [{"event": "line", "cmd": command, "concurrency": 1}]
            with running(folder, {"jobs": jobs, "limits": {"queue": DEPTHS[-1] * 2}}) as node:
                return _measure_at_all_depths(node, gate)


def _measure_at_all_depths(node: Node, gate: Gate) -> Found:
    reader = open_reader(node.state / "journal.sqlite")
    worker = node.child_pid("worker")
    low, middle, high = DEPTHS
    gates = [node.submit("line", {"from": str(gate.path)})]
    for _ in range(2):
        _create(node, STRETCH)
        gates.append(node.submit("line", {"from": str(gate.path)}))
    _create(node, low - _queued(reader))
    found = Found({low: pss_bytes(worker) / 1e6}, {}, {})
    found.jobs_ms[low] = _run_stretch(node, gate, gates, reader)
    found.creates_us[low] = _timed_creates(node)
    _create(node, middle - _queued(reader))
    found.mb[middle] = pss_bytes(worker) / 1e6
    _create(node, high - BLOCKS * BLOCK - _queued(reader))
    found.creates_us[high] = _timed_creates(node)
    found.mb[high] = pss_bytes(worker) / 1e6
    found.jobs_ms[high] = _run_stretch(node, gate, gates, reader)
    reader.close()
    return found


def _create(node: Node, count: int) -> Pace:
    return create(node.port, CONNECTIONS, count, "line", {"from": "/dev/zero"})


def _timed_creates(node: Node) -> float:
    """Microseconds a create: the median of several blocks."""
    return median(1e6 / _create(node, BLOCK).per_s for _ in range(BLOCKS))


def _queued(reader: sqlite3.Connection) -> int:
    ((count,),) = reader.execute("SELECT count(*) FROM tasks WHERE status = 'queued'").fetchall()
    return int(count)


def _run_stretch(node: Node, gate: Gate, gates: list[str], reader: sqlite3.Connection) -> float:
    """Let the first of `gates` go; milliseconds a job, the median of all up to the next gate."""
    first = gates.pop(0)
    node.await_status(first, "running")
    gate.let_go(1)
    node.await_status(gates[0], "running", within_s=LIMIT_S)
    number = "(SELECT seq FROM tasks WHERE task_id = ?)"
    moments = reader.execute(
        f"SELECT finished_at FROM tasks WHERE seq BETWEEN {number} AND {number} AND status = 'finish' ORDER BY seq",
        (first, gates[0]),
    ).fetchall()
    assert len(moments) == STRETCH + 1, f"{len(moments)} jobs have finished"
    ends = [float(moment) for (moment,) in moments]
    return median(later - earlier for earlier, later in pairwise(ends)) * 1000
