"""From the trigger to the running process: 50 jobs a second, in an even stream, each writes what its own clock says.

The clock starts just before the request is sent and stops when `date` looks at it, so the start of `date` itself is
part of the figure; what that alone takes is measured beside it. Requests go out when they are due, whether the one
before has been answered or not.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.client import connect, creation_of, read_answer
from benchmarks.pace import at_an_even_pace
from benchmarks.table import Figure, Tier, amount, at_most, percentile
from tests.nodes import Node, running

PER_S = 50
JOBS = 250
SPAWNS = 50
ROUNDS = {"smoke": 1, "quick": 3, "night": 15}
CONNECTIONS = 4
P50_MS, P99_MS = 5, 15
COMMAND = ["date", "+%s%N"]


def measure(tier: Tier) -> list[Figure]:
    """Send jobs and spawn bare processes in turn."""
    node_ms: list[list[float]] = []
    bare_ms: list[list[float]] = []
    jobs = [{"event": "clock", "cmd": COMMAND}]
    with TemporaryDirectory(prefix="ji-") as folder, running(Path(folder), {"jobs": jobs}) as node:
        for _ in range(ROUNDS[tier]):
            node_ms.append(_through_node(node))
            bare_ms.append(_bare())
    what = f"trigger to process start at {PER_S}/s, {len(node_ms)} times {JOBS} jobs"
    figures = []
    for percent, limit_ms in ((50, P50_MS), (99, P99_MS)):
        found_ms, alone_ms = (median(percentile(values, percent) for values in rounds) for rounds in (node_ms, bare_ms))
        beside = f"spawn of `date` alone: {amount(alone_ms, 'ms')}"
        figures.append(at_most(f"{what}, p{percent}", found_ms, limit_ms, "ms", beside=beside))
    return figures


def _through_node(node: Node) -> list[float]:
    """Milliseconds from each trigger to its process."""
    request = creation_of("clock", {})
    sockets = [connect(node.port) for _ in range(CONNECTIONS)]
    sent_ns: list[int] = []
    task_ids: list[str] = []

    def send(number: int) -> None:
        sock = sockets[number % CONNECTIONS]
        if number >= CONNECTIONS:
            task_ids.append(_task_id(read_answer(sock)))
        sent_ns.append(time.time_ns())
        sock.sendall(request)

    at_an_even_pace(PER_S, JOBS, send)
    for number in range(JOBS, JOBS + CONNECTIONS):
        sock = sockets[number % CONNECTIONS]
        task_ids.append(_task_id(read_answer(sock)))
        sock.close()
    for task_id in task_ids:
        node.await_status(task_id, "finish")
    started_ns = [int(node.output(task_id)) for task_id in task_ids]
    return [(started - sent) / 1e6 for sent, started in zip(sent_ns, started_ns, strict=True)]


def _task_id(answer: bytes) -> str:
    task_id: str = json.loads(answer.partition(b"\r\n\r\n")[2])["task_id"]
    return task_id


def _bare() -> list[float]:
    """Milliseconds from the wish to start `date` to its look at the clock, with nothing in between."""
    found: list[float] = []

    def spawn(_: int) -> None:
        reader, writer = os.pipe()
        sent_ns = time.time_ns()
        pid = os.posix_spawnp("date", COMMAND, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, writer, 1)])
        os.close(writer)
        found.append((int(os.read(reader, 100)) - sent_ns) / 1e6)
        os.close(reader)
        os.waitpid(pid, 0)

    at_an_even_pace(PER_S, SPAWNS, spawn)
    return found
