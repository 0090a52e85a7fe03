"""Notifications of a running job from 8 clients that keep their connections, each committed before it is answered.

The clients are one process with raw sockets, which shares the machine's processors with the node. The limit is the same
client asking an asyncio server that stores nothing and always answers with the same bytes. Beside it stands what a
script sees: `job_item save` with one line, from its start to its first byte and to its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.bare import bare
from benchmarks.client import post
from benchmarks.gate import gate_at
from benchmarks.processes import cpu_s
from benchmarks.table import Figure, Tier, amount, at_least, at_most
from tests.nodes import Node, running

CLIENTS = 8
NOTES = 5_000
ROUNDS = {"smoke": 1, "quick": 3, "night": 15}
SAVES = {"smoke": 2, "quick": 10, "night": 100}
FLOOR_PER_S = 2_000
FIRST_BYTE_MS = 60


def measure(tier: Tier) -> list[Figure]:
    """Notify node and constant in turn."""
    rates: list[float] = []
    limits: list[float] = []
    worker_cpu_s: list[float] = []
    with TemporaryDirectory(prefix="ji-") as name:
        folder = Path(name)
        with gate_at(folder / "gate") as gate:
            jobs = [{"event": "wait", "cmd": gate.pass_command}]
            with running(folder, {"jobs": jobs}) as node, bare("answer") as port:
                task = node.submit("wait")
                node.await_status(task, "running")
                path, document = f"/msg/notif/{task}", json.dumps({"msg": "half done, all is well"})
                worker = node.child_pid("worker")
                for _ in range(ROUNDS[tier]):
                    limits.append(post(port, CLIENTS, NOTES, path, document).per_s)
                    before_s = cpu_s(worker)
                    rates.append(post(node.port, CLIENTS, NOTES, path, document).per_s)
                    worker_cpu_s.append(cpu_s(worker) - before_s)
                assert node.job(task)["notes"][-1]["number"] == ROUNDS[tier] * NOTES
                saves = [_save(node, task) for _ in range(SAVES[tier])]
    return [
        at_least(
            f"notifications from {CLIENTS} clients",
            median(rates),
            FLOOR_PER_S,
            "/s",
            beside=f"asyncio that only answers: {amount(median(limits), '/s')}",
        ),
        Figure("- processor time of the job child each", amount(median(worker_cpu_s) / NOTES * 1e6, "us")),
        at_most("`job_item save`, start to first byte", median(first for first, _ in saves), FIRST_BYTE_MS, "ms"),
        Figure("- to its end, the notification answered", amount(median(end for _, end in saves), "ms")),
    ]


def _save(node: Node, task: str) -> tuple[float, float]:
    """Milliseconds until a line is shown, and until it is sent."""
    variables = {"JOB_ITEM_TASK_ID": task, "JOB_ITEM_MSG_NOTIF_HOST": f"http://127.0.0.1:{node.port}/msg/notif"}
    begun = time.perf_counter()
    with subprocess.Popen(
        (str(Path(sys.executable).with_name("job_item")), "save"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **variables},
    ) as save:
        assert save.stdin is not None
        assert save.stdout is not None
        save.stdin.write(b"one line\n")
        save.stdin.close()
        assert save.stdout.read(1)
        first_s = time.perf_counter() - begun
        assert save.wait(60) == 0
    return first_s * 1000, (time.perf_counter() - begun) * 1000
