"""A queue of 1,000, 10,000 and 100,000 jobs (fewer for `smoke`), all of them taken in over HTTP by one job child.

A gate job holds the event's only slot. Behind it stand jobs that do nothing and more gates, so that one stretch of
jobs runs while 1,000 wait and an equal one while 100,000 wait. A cost is judged by the processor time of the job child,
which other programs on the machine disturb least; the time by the wall clock stands beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.client import Pace, create
from benchmarks.gate import Gate, gate_at
from benchmarks.processes import cpu_s, pss_bytes
from benchmarks.table import Figure, Tier, amount, at_most
from tests.conftest import eventually
from tests.nodes import Node, running
from worker.journal.schema import open_reader

DEPTHS = {
    "smoke": (1_000, 7_000, 12_500),
    "quick": (1_000, 10_000, 100_000),
    "night": (1_000, 10_000, 100_000),
}
STRETCH = 480
"""Jobs that run between two gates; two stretches and their gates fit into the first depth."""
BLOCK, BLOCKS = 1_000, 5
"""Creates that are timed: right after the first depth is reached, right before the last."""
CONNECTIONS = 8
GROWTH_LIMIT_MB = 10
COST_LIMIT = 2.0
"""What "flat" leaves to chance; a queue that costs by its length would show a factor of 100."""
LIMIT_S = 60.0


class Price(NamedTuple):
    """Of one create, or of one job: processor time of the job child, and time by the clock, in microseconds."""

    cpu_us: float
    wall_us: float


class Found(NamedTuple):
    """By depth: megabytes of the job child, what a create costs, what a job costs."""

    mb: dict[int, float]
    creates: dict[int, Price]
    jobs: dict[int, Price]


def measure(tier: Tier) -> list[Figure]:
    """One queue; the night tier fills a second and a third, and takes the median of all."""
    depths = DEPTHS[tier]
    found = [_fill_and_run(depths) for _ in range(3 if tier == "night" else 1)]
    low, _, high = depths
    mb = {depth: median(one.mb[depth] for one in found) for depth in depths}
    told = ", ".join(f"{depth:,}: {amount(mb[depth], 'MB')}" for depth in depths)
    return [
        at_most(f"memory for {high - low:,} more queued jobs", mb[high] - mb[low], GROWTH_LIMIT_MB, "MB", beside=told),
        _flat(f"create at {high:,} queued", low, high, [one.creates for one in found]),
        _flat(f"run of one job at {high:,} queued", low, high, [one.jobs for one in found]),
    ]


def _flat(what: str, low: int, high: int, prices: Sequence[Mapping[int, Price]]) -> Figure:
    little, much = (
        Price(median(one[depth].cpu_us for one in prices), median(one[depth].wall_us for one in prices))
        for depth in (low, high)
    )
    ratio = much.cpu_us / little.cpu_us
    target = f"flat (<= {COST_LIMIT:g} times)"
    return Figure(what, _told(much), f"at {low:,}: {_told(little)}", ratio, target, ratio <= COST_LIMIT)


def _told(price: Price) -> str:
    return f"{amount(price.cpu_us, 'us')} of processor time ({amount(price.wall_us, 'us')} by the clock)"


def _fill_and_run(depths: tuple[int, int, int]) -> Found:
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            # One command for gates and jobs: it reads one byte, from the gate or from a device that always has one.
            command = ["head", "-c", "1", "{{from}}"]
            jobs = [{"event": "line", "cmd": command, "concurrency": 1}]
            with running(folder, {"jobs": jobs, "limits": {"queue": depths[-1] * 2}}) as node:
                return _measure_at_all_depths(node, gate, depths)


def _measure_at_all_depths(node: Node, gate: Gate, depths: tuple[int, int, int]) -> Found:
    reader = open_reader(node.state / "journal.sqlite")
    worker = node.child_pid("worker")
    low, middle, high = depths
    gates = [node.submit("line", {"from": str(gate.path)})]
    for _ in range(2):
        _create(node, STRETCH)
        gates.append(node.submit("line", {"from": str(gate.path)}))
    _create(node, low - _queued(reader))
    found = Found({low: pss_bytes(worker) / 1e6}, {}, {})
    found.jobs[low] = _run_stretch(node, gate, gates, reader)
    found.creates[low] = _timed_creates(node)
    _create(node, middle - _queued(reader))
    found.mb[middle] = pss_bytes(worker) / 1e6
    _create(node, high - BLOCKS * BLOCK - _queued(reader))
    found.creates[high] = _timed_creates(node)
    found.mb[high] = pss_bytes(worker) / 1e6
    found.jobs[high] = _run_stretch(node, gate, gates, reader)
    reader.close()
    return found


def _create(node: Node, count: int) -> Pace:
    return create(node.port, CONNECTIONS, count, "line", {"from": "/dev/zero"})


def _timed_creates(node: Node) -> Price:
    """What a create costs: the median of several blocks."""
    worker = node.child_pid("worker")
    prices = []
    for _ in range(BLOCKS):
        before_s = cpu_s(worker)
        pace = _create(node, BLOCK)
        prices.append(Price((cpu_s(worker) - before_s) / BLOCK * 1e6, 1e6 / pace.per_s))
    return Price(median(price.cpu_us for price in prices), median(price.wall_us for price in prices))


def _queued(reader: sqlite3.Connection) -> int:
    ((count,),) = reader.execute("SELECT count(*) FROM tasks WHERE status = 'queued'").fetchall()
    return int(count)


def _run_stretch(node: Node, gate: Gate, gates: list[str], reader: sqlite3.Connection) -> Price:
    """Let the first of `gates` go; what a job costs, up to the next gate."""
    worker = node.child_pid("worker")
    first = gates.pop(0)
    node.await_status(first, "running")
    before_s = cpu_s(worker)
    gate.let_go(1)
    eventually(lambda: _status(reader, gates[0]) == "running", within_s=LIMIT_S, what="the next gate is reached")
    cpu_us = (cpu_s(worker) - before_s) / STRETCH * 1e6
    number = "(SELECT seq FROM tasks WHERE task_id = ?)"
    moments = reader.execute(
        f"SELECT finished_at FROM tasks WHERE seq BETWEEN {number} AND {number} AND status = 'finish' ORDER BY seq",
        (first, gates[0]),
    ).fetchall()
    assert len(moments) == STRETCH + 1, f"{len(moments)} jobs have finished"
    ends = [float(moment) for (moment,) in moments]
    return Price(cpu_us, median(later - earlier for earlier, later in pairwise(ends)) * 1e6)


def _status(reader: sqlite3.Connection, task_id: str) -> str:
    ((status,),) = reader.execute("SELECT status FROM tasks WHERE task_id = ?", (task_id,)).fetchall()
    return str(status)
