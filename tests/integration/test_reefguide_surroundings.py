"""What is around a node that polls: the metadata of ECS, Sentry, and who asks how it goes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from examples.reefguide.api import StandIn
from supervisor.nodeview import job_api_line
from tests.conftest import ROOT, eventually
from tests.nodes import Node
from tests.reefguide.nodes import become, lines, polling, variables


@contextmanager
def serving(status: int, document: object) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers everything alike; gives its address and the bodies that came."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            raw = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_in_ecs_a_claim_bears_the_arn_of_the_task(api: StandIn, tmp_path: Path) -> None:
    metadata = {"TaskARN": "arn:aws:ecs:x:1:task/c/1", "Cluster": "c", "Family": "f", "Revision": "7"}
    job = api.store.create("TEST", {"id": 1})
    with serving(200, metadata) as (url, _), polling(tmp_path, api, environ={"ECS_CONTAINER_METADATA_URI_V4": url}):
        become(job, "SUCCEEDED")
    assert (job.assignments[0].task, job.assignments[0].cluster) == ("arn:aws:ecs:x:1:task/c/1", "c")


def test_without_metadata_the_names_of_claims_are_made_up_and_all_differ(api: StandIn, tmp_path: Path) -> None:
    jobs = [api.store.create("TEST", {"id": number}) for number in range(2)]
    with (
        serving(404, {}) as (url, _),
        polling(tmp_path, api, environ={"ECS_CONTAINER_METADATA_URI_V4": url}) as node,
    ):
        for job in jobs:
            become(job, "SUCCEEDED")
        assert lines(node, "ecs.unknown")[0]["code"] == "ERR-RFG-014"
    assert len({job.assignments[0].task for job in jobs}) == 2
    assert {job.assignments[0].cluster for job in jobs} == {"Unknown - metadata lookup failure"}


def test_a_failed_job_is_told_to_sentry(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with serving(200, {}) as (url, bodies):
        dsn = url.replace("http://", "http://key@") + "/1"
        with polling(tmp_path, api, {"event": "TEST", "cmd": "exit 3"}, environ={"SENTRY_DSN": dsn}) as node:
            become(job, "FAILED")
            told = eventually(lambda: [text for text in map(plain, bodies) if "of type TEST failed" in text])
            assert "ERR-RUN-001" in told[0]
            assert "key@" not in node.log.read_text()


def plain(body: bytes) -> str:
    """What the library sends, which may be packed."""
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


def test_a_dsn_that_is_none_costs_no_job(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api, environ={"SENTRY_DSN": "nonsense"}) as node:
        become(job, "SUCCEEDED")
        assert lines(node, "sentry.off")[0]["code"] == "ERR-RFG-015"


def test_the_node_says_how_it_stands_with_the_api(api: StandIn, tmp_path: Path) -> None:
    job = api.store.create("TEST", {"id": 1})
    with polling(tmp_path, api) as node:
        become(job, "SUCCEEDED")
        eventually(lambda: node.health()["reefguide"]["connected"], within_s=60)
        api.store.accounts.users[0].roles.clear()
        eventually(lambda: misses_role(node), within_s=60, what="the role is missed")
        shown = subprocess.run(
            [sys.executable, "-m", "supervisor", "status", "--config", tmp_path / "config.yaml"],
            env={**os.environ, "PYTHONPATH": str(ROOT), **variables(api)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        state = json.loads(shown.stdout)["reefguide"]
        assert state["code"] == "ERR-RFG-006"
        assert "ERR-RFG-006" in job_api_line(state).plain


def misses_role(node: Node) -> bool:
    state = node.health()["reefguide"]
    return bool(state["code"] == "ERR-RFG-006" and not state["connected"] and state["reason"])
