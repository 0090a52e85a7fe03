"""Jobs that come in over a broker, with journal, task file, output and all messages, against `xargs -P4`.

Private servers of each kind run on the same machine, and so does the stand-in for the Job Manager, a Python client that
asks for the jobs and hears each `_finish`; what they take of the two processors is part of the figures. Throughput is
taken as for the embedded queue: the triggers are published while four jobs at a gate hold all slots. The time from a
trigger to its process is taken from before the publish to what `date` says. For the stream of output a job writes
lines; the clock runs from its start to the last byte at a subscriber that only counts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.gate import Gate, gate_at
from benchmarks.pace import at_an_even_pace
from benchmarks.stretch import JOBS, SLOTS, Run, run_node, run_xargs
from benchmarks.table import Figure, Tier, against, amount, at_least, at_most, percentile
from job_item.job import new_task_id
from tests.brokers.certificates import make_certificates
from tests.brokers.manager import LAST, Manager, manager_of
from tests.brokers.rabbitmq import RabbitmqServer
from tests.brokers.servers import NatsServer, RedisServer, Server
from tests.conftest import eventually
from tests.nodes import Node, running

ROUNDS = {"smoke": 1, "quick": 3, "night": 9}
FLOOR = 0.8
PER_S = 50
TRIGGERS = {"smoke": 50, "quick": 250, "night": 250}
P50_MS, P99_MS = 5, 25
STREAM_BYTES = {"smoke": 32 << 20, "quick": 512 << 20, "night": 512 << 20}
STREAM_FLOOR = 250
RABBITMQ_JOBS = {"smoke": 50, "quick": 500, "night": 500}
"""Fewer than with the others: its server takes milliseconds for each queue, and each task has two here, one of them the
manager's."""
KINDS = ("nats", "rabbitmq", "redis")


def measure(tier: Tier) -> list[Figure]:
    """Each broker in turn."""
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="ji-") as name, ExitStack() as stack:
        servers = _start_servers(Path(name), stack)
        for kind in KINDS:
            figures += _measure_kind(kind, servers[kind], Path(name) / f"node-{kind}", tier)
    return figures


def _start_servers(folder: Path, stack: ExitStack) -> dict[str, dict[str, Any]]:
    """Start one server of each kind; returns the settings of a client by kind."""
    (folder / "certificates").mkdir()
    certificates = make_certificates(folder / "certificates")
    rabbitmq = RabbitmqServer(folder / "rabbitmq", certificates)
    servers: list[Server] = [
        NatsServer(folder / "nats", "plain", certificates),
        RedisServer(folder / "redis", "plain", certificates),
        rabbitmq,
    ]
    for server in servers:
        stack.callback(server.stop)
        server.start()
    settings = {server.kind: server.settings() for server in servers[:2]}
    return settings | {"rabbitmq": rabbitmq.client_settings(is_tls=False)}


def _measure_kind(kind: str, connection: dict[str, Any], folder: Path, tier: Tier) -> list[Figure]:
    folder.mkdir()
    project = "local"  # what clients of the node's own API name when they name none
    with gate_at(folder / "gate") as gate, manager_of(connection, project) as manager:
        jobs: list[dict[str, Any]] = [
            {"event": "shell", "cmd": "true"},
            {"event": "clock", "cmd": ["date", "+%s%N"]},
            {
                "event": "stream",
                "cmd": f"yes 'a line of output as programs write them' | head -c {STREAM_BYTES[tier]}",
                "output_limit": "1 GiB",
            },
            {"event": "gate", "cmd": gate.pass_command},
        ]
        settings = {
            "jobs": jobs,
            "limits": {"concurrency": SLOTS},
            "broker_connection": connection,
            "credential": {"project_id": project},
        }
        with running(folder, settings) as node:
            node.await_ready()
            figures = _throughput(kind, node, gate, manager, tier)
            figures += _latency(kind, node, manager, tier)
            if kind == "nats":
                figures.append(_stream(node, manager, connection["port"], tier))
    return figures


def _throughput(kind: str, node: Node, gate: Gate, manager: Manager, tier: Tier) -> list[Figure]:
    peers, runs = [], []
    jobs = (RABBITMQ_JOBS if kind == "rabbitmq" else JOBS)[tier]
    for _ in range(ROUNDS[tier]):
        peers.append(run_xargs(("bash", "-c", "true"), jobs))
        runs.append(_run(node, gate, manager, jobs))
    peer = (f"`xargs -P{SLOTS} -I_ bash -c true`", jobs / median(run.wall_s for run in peers))
    rate = jobs / median(run.journal_s for run in runs)
    worker_us = median(run.cost.worker_s for run in runs) / jobs * 1e6
    return [
        against(f"{jobs:,} jobs `bash -c true` over {kind}", rate, "/s", peer, FLOOR),
        Figure("- processor time of the job child a job", amount(worker_us, "us")),
    ]


def _run(node: Node, gate: Gate, manager: Manager, jobs: int) -> Run:
    task_ids = [new_task_id() for _ in range(jobs)]

    def fill() -> None:
        for task_id in task_ids:
            manager.trigger("shell", task_id=task_id, listen=False)

    with manager_of(manager.settings, manager.project) as ear:
        ear.listen_to_all(task_ids, LAST)
        run = run_node(node, gate, fill, jobs)
        eventually(lambda: all(ear.said(task_id, LAST) for task_id in task_ids), within_s=60, what="all heard")
        repeated = [task_id for task_id in task_ids if ear.said(task_id, LAST) != [b"finish"]]
    assert not repeated, f"{len(repeated)} tasks were told another way than with one status"
    return run


def _latency(kind: str, node: Node, manager: Manager, tier: Tier) -> list[Figure]:
    rounds, count = ROUNDS[tier], TRIGGERS[tier]
    found_ms = [_delays_ms(node, manager, count) for _ in range(rounds)]
    what = f"publish over {kind} to process start at {PER_S}/s, {rounds} times {count} jobs"
    return [
        at_most(f"{what}, p{percent}", median(percentile(one, percent) for one in found_ms), limit_ms, "ms")
        for percent, limit_ms in ((50, P50_MS), (99, P99_MS))
    ]


def _delays_ms(node: Node, manager: Manager, count: int) -> Sequence[float]:
    task_ids = [new_task_id() for _ in range(count)]
    sent_ns: dict[str, int] = {}

    def send(number: int) -> None:
        task_id = task_ids[number]
        sent_ns[task_id] = time.time_ns()
        manager.trigger("clock", task_id=task_id, listen=False)

    with manager_of(manager.settings, manager.project) as ear:
        ear.listen_to_all(task_ids, LAST)
        at_an_even_pace(PER_S, count, send)
        eventually(lambda: all(ear.said(task_id, LAST) for task_id in task_ids), within_s=60, what="all heard")
    for task_id in task_ids:
        node.await_status(task_id, "finish")
    return [(int(node.output(task_id)) - sent) / 1e6 for task_id, sent in sent_ns.items()]


def _stream(node: Node, manager: Manager, port: int, tier: Tier) -> Figure:
    rates, messages, size = [], 0, STREAM_BYTES[tier]
    for _ in range(ROUNDS[tier]):
        task_id = new_task_id()
        command = (sys.executable, "-m", "benchmarks.receiver", str(port), f"{task_id}_process", str(size))
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == "ready\n"
            manager.trigger("stream", task_id=task_id, listen=False)
            messages, last_ns = map(int, receiver.stdout.readline().split())
        started_at = node.await_status(task_id, "finish")["started_at"]
        rates.append(size / 1e6 / (last_ns / 1e9 - datetime.fromisoformat(started_at).timestamp()))
    parts = f"{messages} messages of {size / messages / 1024:.0f} KiB"
    return at_least("one job's output over nats to a subscriber", median(rates), STREAM_FLOOR, "MB/s", beside=parts)
