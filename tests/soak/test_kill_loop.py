"""Jobs come in and run while processes of the node are killed again and again: none is lost, none counts twice."""

from __future__ import annotations

import http.client
import os
import random
import signal
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from job_item.process import children_of
from tests.conftest import eventually
from tests.nodes import FINAL, Node, running

SLOTS = 4
COUNTS = {"quick": (300, 20), "night": (10_000, 700)}
"""Jobs and kills of a tier."""


@pytest.mark.soak
@pytest.mark.timeout(5400)
def test_kills_lose_no_job_and_no_attempt_counts_twice(tier: Literal["quick", "night"], tmp_path: Path) -> None:
    jobs, kills = COUNTS[tier]
    settings = {
        "jobs": [
            {"event": "note", "cmd": "echo $JOB_ITEM_TASK_ID >> ran; sleep 0.05", "retries": {"attempts": kills + 1}}
        ],
        "limits": {"concurrency": SLOTS},
    }
    chance = random.Random(20)
    with running(tmp_path, settings) as node, ExitStack() as stack:
        accepted: list[str] = []
        is_over = threading.Event()
        stack.callback(is_over.set)
        sender = threading.Thread(target=_send, args=(node, jobs, accepted, is_over))
        sender.start()
        for number in range(kills):
            _kill_one(node, chance)
            wanted = min(jobs, jobs * (number + 1) // kills)
            eventually(partial(_has, accepted, wanted * 3 // 4), within_s=120)
        sender.join(120)
        assert len(accepted) == jobs
        eventually(lambda: _open_jobs(node) == 0, within_s=600, what="the queue is empty")
        _check(node, accepted, kills)


def _has(accepted: list[str], number: int) -> bool:
    return len(accepted) >= number


def _send(node: Node, jobs: int, accepted: list[str], is_over: threading.Event) -> None:
    """Create jobs under ids of our own choice; a request that got no answer is sent again, as a client would."""
    for number in range(jobs):
        task_id = f"job-{number}"
        while not is_over.is_set():
            try:
                node.submit("note", task_id=task_id)
            except (OSError, http.client.HTTPException, AssertionError):
                is_over.wait(0.05)
            else:
                accepted.append(task_id)
                break


def _kill_one(node: Node, chance: random.Random) -> None:
    """SIGKILL the job child mostly, now and then its zygote or a keeper, rarely the supervisor; wait for its return."""
    victim = chance.choices(["worker", "keeper", "zygote", "supervisor"], [14, 2, 2, 2])[0]
    if victim == "supervisor":
        assert node.process is not None
        node.process.kill()
        node.process.wait()
        node.start()
        return
    worker = node.child_pid("worker")
    below = children_of(worker)
    if victim == "keeper":
        below = [keeper for zygote in below for keeper in children_of(zygote)]
    target = worker if victim == "worker" or not below else chance.choice(below)
    with suppress(ProcessLookupError):  # an idle keeper that was just let go
        os.kill(target, signal.SIGKILL)
    node.await_ready(120)


def _open_jobs(node: Node) -> int:
    """Both counts of one moment: a job goes back from running to queued when what held it was killed."""
    counts = node.health()["counts"]
    return int(counts["queued"] + counts["running"])


def _check(node: Node, accepted: list[str], kills: int) -> None:
    ran = Counter((node.folder / "ran").read_text().split())
    records = [node.job(task_id) for task_id in accepted]
    lost = [record for record in records if record["status"] != "finish"]
    assert lost == []
    assert set(ran) == set(accepted)
    assert sum(ran.values()) - len(accepted) <= kills * SLOTS
    for record in records:
        numbers = [attempt["attempt"] for attempt in record["attempts"]]
        assert numbers == list(range(1, record["attempt"] + 1))
        assert [attempt["status"] in FINAL for attempt in record["attempts"]] == [True] * len(numbers)
        assert sum(attempt["status"] == "finish" for attempt in record["attempts"]) == 1
        assert not (node.folder / f"{record['task_id']}.json").exists()
