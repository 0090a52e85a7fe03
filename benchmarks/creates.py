"""Durable `POST /job/create` from 8 clients that keep their connections, while no job is started.

The event's only slot is held by a job at a gate. The clients are one process with raw sockets, which shares the
machine's processors with the node; its own share is stated. The limit is the same client asking an asyncio server that
stores nothing and always answers with the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.bare import bare
from benchmarks.client import Pace, create
from benchmarks.gate import gate_at
from benchmarks.processes import cpu_s
from benchmarks.table import Figure, Tier, amount, at_least
from tests.nodes import running
from worker.journal.schema import open_reader

CLIENTS = 8
CREATES = 5_000
ROUNDS = {"smoke": 1, "quick": 3, "night": 15}
FLOOR_PER_S = 2_500


def measure(tier: Tier) -> list[Figure]:
    """Ask node and constant in turn."""
    paces: list[Pace] = []
    limits: list[Pace] = []
    worker_cpu_s: list[float] = []
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            jobs = [{"event": "wait", "cmd": gate.pass_command, "concurrency": 1}]
            with running(folder, {"jobs": jobs}) as node, bare("answer") as port:
                node.await_status(node.submit("wait"), "running")
                worker = node.child_pid("worker")
                for _ in range(ROUNDS[tier]):
                    limits.append(create(port, CLIENTS, CREATES, "wait"))
                    before_s = cpu_s(worker)
                    paces.append(create(node.port, CLIENTS, CREATES, "wait"))
                    worker_cpu_s.append(cpu_s(worker) - before_s)
                reader = open_reader(node.state / "journal.sqlite")
                ((kept,),) = reader.execute("SELECT count(*) FROM tasks WHERE status = 'queued'").fetchall()
                reader.close()
    assert kept == ROUNDS[tier] * CREATES, f"{kept} jobs are in the journal"
    share = median(pace.cpu_s / pace.wall_s for pace in paces)
    limit = median(pace.per_s for pace in limits)
    return [
        at_least(
            f"durable creates from {CLIENTS} clients",
            median(pace.per_s for pace in paces),
            FLOOR_PER_S,
            "/s",
            beside=f"asyncio that only answers: {amount(limit, '/s')}",
        ),
        Figure("- the client's share of one core", f"{share:.0%}"),
        Figure("- processor time of the job child a create", amount(median(worker_cpu_s) / CREATES * 1e6, "us")),
    ]
