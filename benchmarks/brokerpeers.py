"""Other task queues over one Redis that run commands, each told to acknowledge after the work, as far as it can.

What each has for a worker that dies is set to 2 s, as our lease is; the names of the settings stand in `told`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from benchmarks.peers import BIN
from tests.nodes import tree_of

LEASE_S = 2
SLOTS = 4
NUMBER = "NUMBER"
"""What stands for the number of a job in its command."""

_RUN = f"""
import os, subprocess
URL = os.environ["PEER_REDIS"]
LEASE_S = {LEASE_S}
_ended = os.open("ended", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def run(number, command):
    subprocess.run(("bash", "-c", command), check=True)
    os.write(_ended, b".")  # next to nothing, and no word to the server
"""
_CELERY = """
from celery import Celery
app = Celery("tasks", broker=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_transport_options={
        "visibility_timeout": LEASE_S, "unacked_restore_interval": 1, "unacked_restore_throttle": 1
    },
)

@app.task
def shell(number, command):
    run(number, command)

def send(jobs):
    for number, command in jobs:
        shell.delay(number, command)
"""
_DRAMATIQ = """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url=URL, heartbeat_timeout=LEASE_S * 1000, maintenance_chance=100_000))

@dramatiq.actor
def shell(number, command):
    run(number, command)

def send(jobs):
    for number, command in jobs:
        shell.send(number, command)
"""
_TASKIQ = f"""
import asyncio
from taskiq_redis import RedisStreamBroker
broker = RedisStreamBroker(
    URL, idle_timeout=LEASE_S * 1000, unacknowledged_lock_timeout=LEASE_S, xread_count={SLOTS}, xread_block=500
)

@broker.task
def shell(number: int, command: str) -> None:
    run(number, command)

async def _send(jobs):
    await broker.startup()
    for number, command in jobs:
        await shell.kiq(number, command)
    await broker.shutdown()

def send(jobs):
    asyncio.run(_send(jobs))
"""
_HUEY = """
from huey import RedisHuey
huey = RedisHuey("tasks", url=URL, results=False)

@huey.task()
def shell(number, command):
    run(number, command)

def send(jobs):
    for number, command in jobs:
        shell(number, command)
"""


@dataclass(frozen=True, slots=True)
class BrokerPeer:
    """One task queue: its module of tasks, the command of its worker, and what a reader has to know of it."""

    name: str
    distribution: str
    source: str
    command: tuple[str, ...]
    told: str
    """What makes it acknowledge after the work."""
    is_late: bool = True
    """Whether it can."""

    @property
    def version(self) -> str:
        """What is installed of it."""
        places = [str(place) for place in BIN.parent.glob("lib/python*/site-packages")]
        return next((found.version for found in distributions(name=self.distribution, path=places)), "?")

    @property
    def flags(self) -> str:
        """How it was started, and what was set."""
        return f"`{' '.join(self.command)}`; {self.told}"


PEERS = (
    BrokerPeer(
        "celery",
        "celery",
        _CELERY,
        ("celery", "-A", "tasks", "worker", "--concurrency", str(SLOTS), "--loglevel", "ERROR"),
        "acks_late, reject_on_worker_lost, prefetch 1, visibility_timeout",
    ),
    BrokerPeer(
        "dramatiq",
        "dramatiq",
        _DRAMATIQ,
        ("dramatiq", "tasks", "--processes", "1", "--threads", str(SLOTS)),
        "heartbeat_timeout, maintenance_chance 10 %",
    ),
    BrokerPeer(
        "taskiq",
        "taskiq",
        _TASKIQ,
        (
            *("taskiq", "worker", "tasks:broker", "--workers", "1", "--max-async-tasks", str(SLOTS)),
            *("--max-threadpool-threads", str(SLOTS), "--ack-type", "when_executed", "--log-level", "ERROR"),
        ),
        "Redis streams, idle_timeout, unacknowledged_lock_timeout",
    ),
    BrokerPeer(
        "huey",
        "huey",
        _HUEY,
        ("huey_consumer", "tasks.huey", "--workers", str(SLOTS), "--worker-type", "thread", "--quiet"),
        "cannot acknowledge after the work: a task is taken off its list before it runs",
        is_late=False,
    ),
)


_SENDER = """
import json, sys, tasks
for line in sys.stdin:
    tasks.send([(number, command) for number, command in json.loads(line)])
    print("sent", flush=True)
"""


class PeerWorker:
    """A worker of one peer, with its own database of the server and its own folder; see `benchmarks.peers_brokers`."""

    def __init__(self, peer: BrokerPeer, folder: Path, port: int, database: int) -> None:
        folder.mkdir()
        (folder / "tasks.py").write_text(_RUN + peer.source)
        self._peer = peer
        self._folder = folder
        self._ended = folder / "ended"
        shell = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        url = f"redis://127.0.0.1:{port}/{database}"
        self._environ = {**shell, "PEER_REDIS": url, "PYTHONPATH": str(folder)}
        self._worker: subprocess.Popen[bytes] | None = None
        self._sender = self._start("sender.log", "python", "-c", _SENDER)

    def send(self, numbers: Iterable[int], command: str) -> None:
        """Ask for jobs; returns when the queue has them."""
        assert self._sender.stdin is not None and self._sender.stdout is not None
        jobs = [(number, command.replace(NUMBER, str(number))) for number in numbers]
        self._sender.stdin.write(json.dumps(jobs).encode() + b"\n")
        self._sender.stdin.flush()
        if self._sender.stdout.readline() != b"sent\n":
            raise RuntimeError(f"{self._peer.name}: {(self._folder / 'sender.log').read_text()[-2000:]}")

    def start(self) -> None:
        """Start the worker as its manual does."""
        self._worker = self._start("worker.log", *self._peer.command)

    def _start(self, log: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / log).open("ab") as file:
            return subprocess.Popen(
                (BIN / program, *arguments),
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if program == "python" else file,
                stderr=file,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the worker and all its processes, as a service manager ends what is left of a dead service."""
        if self._worker is not None:
            _end(self._worker)
            self._worker = None

    def pids(self) -> list[int]:
        """All its processes."""
        assert self._worker is not None
        return tree_of(self._worker.pid)

    def ended(self) -> int:
        """How many runs of jobs have come to their end."""
        return self._ended.stat().st_size if self._ended.exists() else 0

    def close(self) -> None:
        """Leave nothing running."""
        self.kill()
        _end(self._sender)


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
