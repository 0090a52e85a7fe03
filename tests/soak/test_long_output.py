"""Output of any kind and size is kept byte for byte, and neither the job nor the node suffers from it."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from tests.nodes import Node, running

LINE_BYTES = 100_000_000
JOBS = [
    {"event": "line", "cmd": f"head -c {LINE_BYTES} /dev/zero | tr '\\0' x", "output_limit": "200 MiB"},
    {"event": "noise", "cmd": "head -c 20000000 /dev/urandom | tee copy-$JOB_ITEM_TASK_ID", "output_limit": "32 MiB"},
]


def memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


@pytest.mark.soak
def test_a_line_of_a_hundred_megabytes_is_kept_whole(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": JOBS}) as node:
        worker = node.child_pid("worker")
        task_id = node.submit("line")
        assert node.await_status(task_id, within_s=180)["log_bytes"] == LINE_BYTES
        assert _digest(node, task_id) == hashlib.sha256(b"x" * LINE_BYTES).hexdigest()
        assert memory_bytes(worker) < 150 << 20


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_many_jobs_that_talk_at_once_lose_no_byte_while_a_reader_stalls(tmp_path: Path) -> None:
    with running(tmp_path, {"jobs": JOBS, "limits": {"concurrency": 8}}) as node:
        worker = node.child_pid("worker")
        tasks = [node.submit("noise") for _ in range(16)]
        stalled = node.connect()
        stalled.request("GET", f"/jobs/{tasks[0]}/log?follow=1")
        stalled.getresponse()  # and nobody reads on
        for task_id in tasks:
            node.await_status(task_id, "finish", within_s=300)
        checked: list[bool] = []
        readers = [threading.Thread(target=_check, args=(node, task_id, checked)) for task_id in tasks]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert checked == [True] * len(tasks)
        assert memory_bytes(worker) < 150 << 20
        stalled.close()


def _check(node: Node, task_id: str, checked: list[bool]) -> None:
    copy = hashlib.sha256((node.folder / f"copy-{task_id}").read_bytes()).hexdigest()
    checked.append(_digest(node, task_id) == copy)


def _digest(node: Node, task_id: str) -> str:
    """The digest of a job's output as the API gives it, read in pieces."""
    connection = node.connect()
    connection.request("GET", f"/jobs/{task_id}/log")
    answer = connection.getresponse()
    digest = hashlib.sha256()
    while piece := answer.read(1 << 20):
        digest.update(piece)
    connection.close()
    return digest.hexdigest()
