"""Share data over HTTP, as protocol job-item.md, section 7, has it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import eventually
from tests.desks import MemoryDesk, Served, serve
from tests.nodes import running


class Ledger(MemoryDesk):
    """Writes down with which time to live something is shared."""

    ttls: tuple[float | None, ...] = ()

    async def share(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:
        self.ttls += (ttl_s,)
        await super().share(task_id, key, data, ttl_s)


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(Ledger()) as served:
        yield served


def test_texts_are_added_and_got_with_the_answers_of_the_protocol(served: Served) -> None:
    for text in ("one", "zwei é\u2028\0"):
        added = served.ask("POST", "/msg/share/data/T1", {"key": "k", "data": text})
        assert (added.status, added.json) == (200, {"status": "ok", "key": "k", "task_id": "T1"})
    got = served.ask("GET", "/msg/share/data/T1/k")
    assert got.status == 200
    assert got.json == {"status": "ok", "key": "k", "task_id": "T1", "data": ["one", "zwei é\u2028\0"]}


@pytest.mark.parametrize("path", ["T1/other", "T2/k", "..%2F/k", "T1/", "T1/k/more"])
def test_what_is_not_there_is_not_found(served: Served, path: str) -> None:
    served.ask("POST", "/msg/share/data/T1", {"key": "k", "data": "x"})
    reply = served.ask("GET", f"/msg/share/data/{path}")
    assert (reply.status, reply.json["error"], reply.json["code"]) == (404, "not found", "ERR-JOB-012")


@pytest.mark.parametrize("key", ["a b", "a/b", "é", "%", "?", ".hidden", "a//b"])
def test_any_key_that_was_added_can_be_got(served: Served, key: str) -> None:
    served.ask("POST", "/msg/share/data/T1", {"key": key, "data": "x"})
    quoted = "".join(f"%{byte:02X}" for byte in key.encode())
    reply = served.ask("GET", f"/msg/share/data/T1/{quoted}")
    assert (reply.status, reply.json["key"], reply.json["data"]) == (200, key, ["x"])


def test_both_names_of_the_time_to_live_are_taken(served: Served) -> None:
    for members in ({"ttl_seconds": 60}, {"ttl": 36_000_000}, {"ttl_seconds": 1.5, "ttl": 9}, {"ttl": 0}, {}):
        reply = served.ask("POST", "/msg/share/data/T1", {"key": "k", "data": "x", **members})
        assert reply.status == 200
    assert isinstance(served.desk, Ledger)
    assert served.desk.ttls == (60, 36_000_000, 1.5, None, None)


@pytest.mark.parametrize(
    "body",
    [
        {"key": "k"},
        {"data": "x"},
        {"key": "", "data": "x"},
        {"key": "k", "data": ""},
        {"key": 1, "data": "x"},
        {"key": "k", "data": {}},
        {"key": "k", "data": "x", "ttl_seconds": -1},
        {"key": "k", "data": "x", "ttl_seconds": "60"},
        {"key": "k", "data": "x", "ttl": True},
        {"key": "k", "data": "x", "ttl": 1e10},
        [],
        None,
    ],
)
def test_a_request_that_is_not_as_documented_is_refused(served: Served, body: Any) -> None:
    reply = served.ask("POST", "/msg/share/data/T1", body)
    assert (reply.status, reply.json["code"]) == (400, "ERR-JOB-007")
    assert reply.json["error"]


def test_an_id_that_can_be_no_task_is_refused(served: Served) -> None:
    reply = served.ask("POST", "/msg/share/data/.hidden", {"key": "k", "data": "x"})
    assert (reply.status, reply.json["code"]) == (400, "ERR-JOB-003")


CHECKPOINT = r"""
import json, os, pathlib, time, urllib.request
env = os.environ
def url(name):
    return env[name].replace(":task_id", env["JOB_ITEM_TASK_ID"]).replace(":key", "steps")
entry = json.dumps({"key": "steps", "data": env["JOB_ITEM_ATTEMPT"]}).encode()
urllib.request.urlopen(url("JOB_ITEM_SHARE_DATA_ADD"), entry, 60).close()
with urllib.request.urlopen(url("JOB_ITEM_SHARE_DATA_GET"), None, 60) as answer:
    print(answer.read().decode())
if env["JOB_ITEM_ATTEMPT"] == "1":
    pathlib.Path("shared").touch()
    time.sleep(600)
"""
"""A script that keeps a checkpoint and knows its variables only."""

TOKEN = "s3cret-of-the-test"


def test_a_job_whose_worker_was_killed_finds_what_its_first_attempt_shared(tmp_path: Path) -> None:
    cmd = [sys.executable, "-c", CHECKPOINT]
    settings = {"api": {"port": 0, "token": TOKEN}, "jobs": [{"event": "steps", "cmd": cmd, "kill_grace": 0.2}]}
    with running(tmp_path, settings) as node:
        status, created = node.ask("POST", f"/t/{TOKEN}/job/create", {"event": "steps", "form_body": {}})
        assert status == 200
        task_id = created["task_id"]
        eventually((tmp_path / "shared").exists, within_s=60)
        os.kill(node.child_pid("worker"), signal.SIGKILL)

        def finished() -> bool:
            status, job = node.get(f"/t/{TOKEN}/jobs/{task_id}")
            assert status == 200, job
            return bool(job["status"] == "finish")

        eventually(finished, within_s=60, what=node.log.read_text()[-2000:])
        said = json.loads(node.get(f"/t/{TOKEN}/jobs/{task_id}/log")[1])
        assert said == {"status": "ok", "key": "steps", "task_id": task_id, "data": ["1", "2"]}
