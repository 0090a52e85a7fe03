"""SIGKILL of the job child until a new connection is answered by its successor.

The connection is opened right after the signal; the parent's listening socket holds it until somebody serves again.
Beside it, the same for the smallest supervisor there can be: one process that waits and forks its server anew.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bare import bare
from benchmarks.table import Figure, Tier, amount, at_most, percentile
from tests.conftest import eventually
from tests.nodes import Node, running

KILLS = {"smoke": 5, "quick": 25, "night": 90}
"""The parent takes at most 100 restarts in 60 s."""
P50_MS = 40
LIMIT_S = 20.0


def measure(tier: Tier) -> list[Figure]:
    """Kill the node's child and the bare one in turn."""
    node_ms: list[float] = []
    bare_ms: list[float] = []
    jobs = [{"event": "true", "cmd": ["true"]}]
    with (
        TemporaryDirectory(prefix="ji-") as folder,
        running(Path(folder), {"jobs": jobs}) as node,
        bare("revive") as port,
    ):
        for _ in range(KILLS[tier]):
            node_ms.append(_kill_and_ask(node.port))
            _settle(node)
            bare_ms.append(_kill_and_ask(port))
    limit = f"bare loop of fork and wait: {amount(percentile(bare_ms, 50), 'ms')}"
    what = f"SIGKILL of the job child to served again, {len(node_ms)} kills, p50"
    return [
        at_most(what, percentile(node_ms, 50), P50_MS, "ms", beside=limit),
        Figure("- the slowest of them", amount(max(node_ms), "ms")),
    ]


def _kill_and_ask(port: int) -> float:
    """Milliseconds from the signal to the first answer of another process."""
    victim = _serving_pid(port)
    begun = time.perf_counter()
    os.kill(victim, signal.SIGKILL)
    while True:
        try:
            if _serving_pid(port) != victim:
                return (time.perf_counter() - begun) * 1000
        except (OSError, http.client.HTTPException):
            assert time.perf_counter() < begun + LIMIT_S, "nobody serves any more"


def _serving_pid(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("GET", "/healthz")
        pid: int = json.loads(connection.getresponse().read())["worker"]["pid"]
        return pid
    finally:
        connection.close()


def _settle(node: Node) -> None:
    """Wait until the successor runs jobs, so that each kill meets a node at rest."""
    eventually(lambda: node.get("/readyz")[0] == 200, what="the node is ready again")
    node.await_status(node.submit("true"), "finish")
