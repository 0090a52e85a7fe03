"""Other task queues, each with two processes over one Redis, doing tasks that do nothing.

Each is used as its own documentation begins: enqueue everything, start the workers, wait for the last task. Every
hundredth task adds to a counter in Redis, by which its progress is seen; the others do nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import BIN
from tests.conftest import eventually, free_port

PROCESSES = 2
LIMIT_S = 180.0

_COUNT = """
import os, redis
URL = os.environ["PEER_REDIS"]
_server = redis.Redis.from_url(URL)

def done(number):
    if number % 100 == 0:
        _server.incrby("done", 100)
"""
_CELERY = (
    _COUNT
    + """
from celery import Celery
app = Celery("tasks", broker=URL)
app.conf.update(worker_prefetch_multiplier=64, task_ignore_result=True)

@app.task
def nothing(number):
    done(number)

def fill(count):
    for number in range(count):
        nothing.delay(number)
"""
)
_DRAMATIQ = (
    _COUNT
    + """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url=URL))

@dramatiq.actor
def nothing(number):
    done(number)

def fill(count):
    for number in range(count):
        nothing.send(number)
"""
)
_HUEY = (
    _COUNT
    + """
from huey import RedisHuey
huey = RedisHuey("tasks", url=URL, results=False)

@huey.task()
def nothing(number):
    done(number)

def fill(count):
    for number in range(count):
        nothing(number)
"""
)
_TASKIQ = (
    _COUNT
    + """
import asyncio
from taskiq_redis import ListQueueBroker
broker = ListQueueBroker(URL)

@broker.task
def nothing(number: int) -> None:
    done(number)

async def _fill(count):
    await broker.startup()
    for number in range(count):
        await nothing.kiq(number)
    await broker.shutdown()

def fill(count):
    asyncio.run(_fill(count))
"""
)


@dataclass(frozen=True, slots=True)
class TaskPeer:
    """One task queue: its module of tasks, and the command of its workers."""

    name: str
    source: str
    command: tuple[str, ...]


_HUEY_OPTIONS = ("--workers", str(PROCESSES), "--worker-type", "process", "--quiet")
_TASKIQ_OPTIONS = ("--workers", str(PROCESSES), "--log-level", "WARNING")
PEERS = (
    TaskPeer(
        "celery", _CELERY, ("celery", "-A", "tasks", "worker", "--concurrency", str(PROCESSES), "--loglevel", "WARNING")
    ),
    TaskPeer("dramatiq", _DRAMATIQ, ("dramatiq", "tasks", "--processes", str(PROCESSES), "--threads", "1")),
    TaskPeer("huey", _HUEY, ("huey_consumer", "tasks.huey", *_HUEY_OPTIONS)),
    TaskPeer("taskiq", _TASKIQ, ("taskiq", "worker", "tasks:broker", *_TASKIQ_OPTIONS)),
)


def rate_of(peer: TaskPeer, count: int, folder: Path) -> float:
    """Tasks a second, from the first to the last as the counter saw them."""
    folder.mkdir()
    (folder / "tasks.py").write_text(peer.source)
    port = free_port()
    environ = {**os.environ, "PEER_REDIS": f"redis://127.0.0.1:{port}/0", "PYTHONPATH": str(folder)}
    options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "no")
    server = subprocess.Popen(("redis-server", *options), stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: _ask(port, "PING") == "PONG", what="Redis answers")
        subprocess.run(
            (BIN / "python", "-c", f"import tasks; tasks.fill({count})"), cwd=folder, env=environ, check=True
        )
        return _work(peer, count, port, folder, environ)
    finally:
        server.kill()
        server.wait()


def _work(peer: TaskPeer, count: int, port: int, folder: Path, environ: Mapping[str, str]) -> float:
    program, *arguments = peer.command
    with (folder / "log").open("wb") as log:
        workers = subprocess.Popen(
            (BIN / program, *arguments), cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        eventually(lambda: _done(port) > 0, within_s=LIMIT_S, what=f"{peer.name} has begun")
        begun, first = time.perf_counter(), _done(port)
        eventually(lambda: _done(port) >= count, within_s=LIMIT_S, what=f"{peer.name} is through")
        return (count - first) / (time.perf_counter() - begun)
    finally:
        os.killpg(workers.pid, signal.SIGKILL)
        workers.wait()


def _done(port: int) -> int:
    return int(_ask(port, "GET done") or 0)


def _ask(port: int, command: str) -> str:
    told = subprocess.run(
        ("redis-cli", "-p", str(port), *command.split()), capture_output=True, text=True, check=False, timeout=10
    )
    return told.stdout.strip()
