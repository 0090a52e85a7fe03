"""Commands over one Redis beside other task queues that acknowledge after the work: rate, memory, what kills lose.

One Redis (`appendonly yes`, `appendfsync everysec`) on the same machine, four jobs at a time everywhere. The rate is
that of `bash -c true`, jobs that wait in the queue before the worker starts, from the first end that is seen to the
last; memory is the PSS of all processes of the worker after that, with nothing to do. Then 20 times SIGKILL while
jobs of 50 ms run, to all processes of a worker in the same instant, what it runs included, and a new start of it at
once, as a service manager does both. A killed worker's jobs are another's after 2 s. Lost is what has not come to its
end when nothing has happened for 10 s; a job more each second keeps the queues moving meanwhile. Twice is what has
come to its end again: its worker died after the end and before it was written down. Apart from that stands the node
whose job child alone is killed: until the death is seen, which is long on a busy machine, its jobs run on, and some
come to an end that nobody hears of. The kills of all run at the same time, on the same server; rates are measured one
after the other. huey takes a job off its list before it runs, so it is here for comparison only, and the node is
measured against the best of the others.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Protocol

from benchmarks.brokerpeers import LEASE_S, NUMBER, PEERS, BrokerPeer, PeerWorker
from benchmarks.durablenode import DurableNode
from benchmarks.processes import pss_bytes
from benchmarks.table import Figure, Tier, amount
from tests.brokers.certificates import make_certificates
from tests.brokers.servers import RedisServer
from tests.conftest import eventually

JOBS = {"smoke": 50, "quick": 500, "night": 4_000}
ROUNDS = {"smoke": 1, "quick": 1, "night": 5}
KILLS = {"smoke": 2, "quick": 20, "night": 20}
STEP = 8
"""How many jobs run between two kills at least."""
FILLERS = 1_000_000
"""Numbers from here on are of the jobs that keep the queues moving."""
STUCK_S, QUIET_S, LIMIT_S = 5.0, 10.0, 120.0
OURS, CHILD, TRUE = "node", "child", "true"


class Worker(Protocol):
    """A worker of any make, and its queue."""

    def send(self, numbers: Iterable[int], command: str) -> None:
        """Ask for jobs, `NUMBER` in the command being theirs; returns when the queue has them."""

    def start(self) -> None:
        """Start it, or see to it that it is started."""

    def kill(self) -> None:
        """SIGKILL to all its processes, what it runs included."""

    def pids(self) -> Sequence[int]:
        """Its processes."""

    def ended(self) -> int:
        """How many runs of jobs have come to their end."""

    def close(self) -> None:
        """Leave nothing running."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Jobs a second, and megabytes afterwards."""

    per_s: float
    mb: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What kills cost: jobs that never came to their end, and ends beyond one for each job."""

    lost: int
    extra: int

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.extra} twice"


Make = Callable[[str, Sequence[str]], Worker]
"""Makes a worker that runs these commands, in a folder of this name, with a queue of its own."""


def measure(tier: Tier) -> list[Figure]:
    """Rates one after the other, then all kills at once."""
    with TemporaryDirectory(prefix="ji-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "certificates").mkdir()
        server = RedisServer(folder / "redis", "durable", make_certificates(folder / "certificates"))
        server.fsync = "everysec"
        stack.callback(server.stop)
        server.start()
        makes: dict[str, Make] = {OURS: partial(_node, server, folder)}
        makes |= {peer.name: partial(_peer, server, folder, peer, number + 1) for number, peer in enumerate(PEERS)}
        paces = {who: _pace(who, make, JOBS[tier], ROUNDS[tier]) for who, make in makes.items()}
        makes[CHILD] = partial(_node, server, folder, dies_whole=False)
        with ThreadPoolExecutor(len(makes)) as pool:
            found = {
                who: pool.submit(_loss, who, make, folder / f"ran-{who}", KILLS[tier]) for who, make in makes.items()
            }
            losses = {who: loss.result() for who, loss in found.items()}
    return _figures(JOBS[tier], KILLS[tier], paces, losses)


def _node(server: RedisServer, folder: Path, name: str, commands: Sequence[str], *, dies_whole: bool = True) -> Worker:
    connection = server.settings() | {"lease": LEASE_S, "dedupe": 1}
    return DurableNode(folder / name, connection, commands, dies_whole=dies_whole)


def _peer(
    server: RedisServer, folder: Path, peer: BrokerPeer, database: int, name: str, commands: Sequence[str]
) -> Worker:
    del commands  # it takes any
    return PeerWorker(peer, folder / name, server.port, database)


def _pace(who: str, make: Make, jobs: int, rounds: int) -> Pace:
    paces = []
    for number in range(rounds):
        with closing(make(f"{who}-pace{number}", (TRUE,))) as worker:
            worker.send(range(jobs), TRUE)
            worker.start()
            eventually(worker.ended, within_s=LIMIT_S, what=f"{who} has begun")
            begun, first = time.perf_counter(), worker.ended()
            eventually(partial(_is_through, worker, jobs), within_s=LIMIT_S, what=f"{who} is through")
            rate = (jobs - first) / (time.perf_counter() - begun)
            paces.append(Pace(rate, sum(map(pss_bytes, worker.pids())) / 1e6))
    return Pace(median(pace.per_s for pace in paces), median(pace.mb for pace in paces))


def _is_through(worker: Worker, jobs: int) -> bool:
    return worker.ended() >= jobs


def _to_lose(kills: int) -> int:
    return (kills + 2) * STEP


def _loss(who: str, make: Make, ran: Path, kills: int) -> Loss:
    """Kill it again and again while it works, then let it work until nothing has happened for a while."""
    note = f"sleep 0.05; echo {NUMBER} >> {ran}"
    ran.touch()
    chance = random.Random(5)
    with closing(make(f"{who}-loss", (note,))) as worker:
        worker.send(range(_to_lose(kills)), note)
        for _ in range(kills):
            goal = _runs(ran).total() + STEP
            worker.start()
            with suppress(AssertionError):  # what is left may be out of sight until its time is over
                eventually(partial(_has, ran, goal), within_s=STUCK_S)
            time.sleep(chance.random() * 0.05)  # kills come at any moment of a job
            worker.kill()
        worker.start()
        _settle(worker, ran, note, _to_lose(kills))
    runs = _runs(ran)
    return Loss(_to_lose(kills) - len(runs), runs.total() - len(runs))


def _settle(worker: Worker, ran: Path, note: str, jobs: int) -> None:
    """Wait until all jobs have run, or none has for a while; a job more each second keeps the queue moving."""
    known, quiet_since_s = 0, time.monotonic()
    for filler in range(FILLERS, FILLERS + int(LIMIT_S)):
        if known == jobs or time.monotonic() - quiet_since_s > QUIET_S:
            return
        worker.send((filler,), note)
        time.sleep(1.0)
        if (now := len(_runs(ran))) > known:
            known, quiet_since_s = now, time.monotonic()


def _runs(ran: Path) -> Counter[int]:
    """How often each job has come to its end."""
    return Counter(number for number in map(int, ran.read_text().split()) if number < FILLERS)


def _has(ran: Path, count: int) -> bool:
    return _runs(ran).total() >= count


def _figures(jobs: int, kills: int, paces: Mapping[str, Pace], losses: Mapping[str, Loss]) -> list[Figure]:
    """The node against the best of those that acknowledge after the work, then each of them with its flags."""
    late = [peer.name for peer in PEERS if peer.is_late]
    fastest = max(late, key=lambda name: paces[name].per_s)
    smallest = min(late, key=lambda name: paces[name].mb)
    fewest = min(losses[name].lost for name in late)
    safest = min((name for name in late if losses[name].lost == fewest), key=lambda name: losses[name].extra)
    here, lost = paces[OURS], losses[OURS]
    speed, size = here.per_s / paces[fastest].per_s, here.mb / paces[smallest].mb
    return [
        Figure(
            f"{jobs} jobs `bash -c true` over redis, acknowledged after the work",
            amount(here.per_s, "/s"),
            f"{fastest}: {amount(paces[fastest].per_s, '/s')}",
            speed,
            "> 1 times the best",
            speed > 1,
        ),
        Figure(
            "- memory of all processes after that",
            amount(here.mb, "MB"),
            f"{smallest}: {amount(paces[smallest].mb, 'MB')}",
            size,
            "< 1 times the least",
            size < 1,
        ),
        Figure(
            f"- {_to_lose(kills)} jobs, {kills} times SIGKILL to all processes",
            str(lost),
            f"{safest}: {losses[safest]}",
            None,
            "0 lost, no more twice",
            not lost.lost and lost.extra <= losses[safest].extra,
        ),
        Figure("- the same to its job child alone", str(losses[CHILD])),
        *(
            Figure(
                f"- {peer.name} {peer.version}",
                f"{amount(paces[peer.name].per_s, '/s')}, {amount(paces[peer.name].mb, 'MB')}, {losses[peer.name]}",
                peer.flags,
            )
            for peer in PEERS
        ),
    ]
