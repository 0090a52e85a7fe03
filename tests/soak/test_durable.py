"""Jobs of durable queues, while job children and brokers are killed: none is lost, none counts twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.brokers.servers import LEASE_S
from tests.brokers.stages import DURABLE, Stage
from tests.conftest import eventually
from tests.nodes import Node, running
from tests.soak.conftest import Slice

Tier = Literal["quick", "night"]

SLOTS = 4
COUNTS = {"quick": (300, 20, 3), "night": (10_000, 700, 40)}
"""Jobs, kills of the job child and restarts of the broker of a tier."""
BY_API = 3
"""One of so many jobs is asked for by way of the node, while it is being killed."""
SERVED = [stage for stage in DURABLE if "embedded" not in stage]


def settings(stage: Stage, cmd: str, kills: int) -> dict[str, Any]:
    """One event, which may be lost as often as its node is killed."""
    return {
        "credential": {"project_id": "P"},
        "broker_connection": stage.settings(),
        "jobs": [{"event": "note", "cmd": cmd, "retries": {"attempts": kills + 10}}],
        "limits": {"concurrency": SLOTS},
        "keep": {"jobs": 1_000_000},
    }


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("stage", SERVED, indirect=True)
def test_kills_of_children_and_brokers_lose_no_job_and_none_counts_twice(
    stage: Stage, tier: Tier, part: Slice, tmp_path: Path
) -> None:
    jobs, kills, restarts = map(part.share, COUNTS[tier])
    ran = tmp_path / "ran"
    ran.touch()
    names = [f"T{number}" for number in range(jobs)]
    begun_s = time.monotonic()
    wanted = settings(stage, f"echo $JOB_ITEM_TASK_ID >> {ran}; sleep 0.05", kills)
    with running(tmp_path / "node", wanted) as node, ExitStack() as stack:
        asyncio.run(_put(stage, [name for number, name in enumerate(names) if number % BY_API]))
        is_over = threading.Event()
        stack.callback(is_over.set)
        sender = threading.Thread(target=_send, args=(node, names[::BY_API], is_over))
        sender.start()
        chance, breaks = random.Random(part.seed(9)), 0
        for number in range(kills):
            if number * restarts // kills >= breaks and breaks < restarts and number:
                stage.shuts_down()
                stage.comes_back()
                breaks += 1
            with suppress(ProcessLookupError, KeyError):
                os.kill(node.child_pid("worker"), signal.SIGKILL)
            node.await_ready(120)
            share = min(jobs * (number + 1) // (kills + 1), jobs)
            eventually(partial(_has_run, ran, share), within_s=120, what=f"{share} jobs after {number + 1} kills")
            time.sleep(chance.random() * 0.1)  # kills come at any moment of a job
        sender.join(300)
        assert not sender.is_alive()
        eventually(lambda: len(set(ran.read_text().split())) == jobs, within_s=600, what="all jobs have run")
        eventually(partial(_are_over, node, jobs), within_s=600, what="all jobs are over")
        _check(node, names, Counter(ran.read_text().split()), kills)
        eventually(lambda: _held(node) == 0, within_s=LEASE_S * 3 + 60, what="all ends are confirmed")
        took_s = time.monotonic() - begun_s
        extra = len(ran.read_text().split()) - jobs
        print(f"{stage.kind}: {jobs} jobs, {kills} kills, {restarts} restarts, {extra} extra runs, {took_s:.0f} s")
        node.stop()
    assert asyncio.run(_is_empty(stage))


async def _put(stage: Stage, names: list[str]) -> None:
    """Put jobs into the queue all at once: every kill and every restart meets some that wait."""
    connection = await stage.broker().connect()
    assert connection.queues is not None
    for name in names:
        await connection.queues.put("P.note", name, b'{"task_id":"%s"}' % name.encode())
    await connection.close()


def _send(node: Node, names: list[str], is_over: threading.Event) -> None:
    """Ask the node for jobs, whatever happens to it and its broker: each until it is taken, as a client would."""
    for name in names:
        request = {"event": "note", "form_body": {}, "task_id": name}
        while not is_over.is_set():
            with suppress(OSError, Exception):
                if node.ask("POST", "/job/create", request)[0] == 200:
                    break
            is_over.wait(0.05)


def _has_run(ran: Path, count: int) -> bool:
    return len(set(ran.read_text().split())) >= count


def _are_over(node: Node, jobs: int) -> bool:
    counts = node.get("/metrics")[1].decode()
    done = [line for line in counts.splitlines() if line.startswith("job_item_jobs{") and 'status="finish"' in line]
    return bool(done) and float(done[0].rpartition(" ")[2]) >= jobs


def _check(node: Node, names: list[str], ran: Counter[str], kills: int) -> None:
    assert set(ran) == set(names)
    # On a busy machine the node, or a broker that comes back, is late for a lease: each that was lost is one more run.
    missed = node.log.read_text().count('"lease.lost"')
    assert sum(ran.values()) - len(names) <= kills * SLOTS + missed
    for record in _records(node, names):
        assert record["status"] == "finish"
        assert sum(attempt["status"] == "finish" for attempt in record["attempts"]) == 1
        fences = [attempt["fence"] for attempt in record["attempts"]]
        assert fences == sorted(set(fences))


def _records(node: Node, names: list[str]) -> Iterator[dict[str, Any]]:
    """What the node says of its jobs, over one connection."""
    with closing(node.connect()) as connection:
        for name in names:
            connection.request("GET", f"/jobs/{name}")
            yield json.loads(connection.getresponse().read())


def _held(node: Node) -> int:
    """How much of what is to be said is held back, as its broker has not confirmed the end of the job."""
    with closing(sqlite3.connect(f"file:{node.state}/journal.sqlite?mode=ro", uri=True)) as db:
        (count,) = db.execute("SELECT count(*) FROM held").fetchone()
    return int(count)


async def _is_empty(stage: Stage) -> bool:
    """Whether nothing is left for a next node, within a lease."""
    connection = await stage.broker().connect()
    assert connection.queues is not None
    queue = await connection.queues.open("P.note", 1)
    try:
        async with asyncio.timeout(LEASE_S * 1.5):
            await queue.borrow(1)
    except TimeoutError:
        return True
    finally:
        await queue.close()
        await connection.close()
    return False
