"""A real node for tests and benchmarks: started as a user starts it, on a free port, in a folder of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from job_item.process import children_of
from tests.conftest import ROOT, eventually

FINAL = ("finish", "error", "timeout", "terminate")


class Node:
    """A node under test. `folder` holds its config.yaml, its task files and its state."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        environ: dict[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "supervisor"),
    ) -> None:
        self._command = command
        self.folder = folder
        self.state = folder / ".job_item"
        self.log = folder / "node.log"
        self._settings = {"api": {"port": 0}, "log": {"format": "json"}, **settings}
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
        self._url: tuple[str, int] = ("127.0.0.1", 0)
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the configuration as an editor does: a new file takes the place of the old one."""
        self._settings = {"api": {"port": 0}, "log": {"format": "json"}, **settings}
        written = self.folder / "config.yaml.new"
        written.write_text(yaml.safe_dump(self._settings))
        written.replace(self.folder / "config.yaml")

    def start(self, *, ready: bool = True) -> None:
        """Start it in the foreground of a process of its own; with `ready`, wait until it takes and runs jobs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.state / "node.json").unlink(missing_ok=True)  # of a node that was killed
        self.configure(self._settings)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._command, "--config", str(self.folder / "config.yaml")],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            self.await_ready()

    def await_ready(self, within_s: float = 90.0) -> None:
        """Wait until `/readyz` says yes."""
        process = self.process
        assert process is not None

        def is_ready_or_gone() -> bool:
            if process.poll() is not None:
                return True
            try:
                info = json.loads((self.state / "node.json").read_text())
                self._url = ("127.0.0.1", int(info["url"].rpartition(":")[2]))
                return self.get("/readyz")[0] == 200
            except (OSError, ValueError):
                return False

        try:
            eventually(is_ready_or_gone, within_s=within_s)
        except AssertionError as late:
            raise AssertionError(f"not ready within {within_s} s: {self.log.read_text()[-4000:]}") from late
        assert process.poll() is None, self.log.read_text()

    @property
    def pid(self) -> int:
        """The supervisor's pid."""
        assert self.process is not None
        return self.process.pid

    @property
    def port(self) -> int:
        """Where the API listens."""
        return self._url[1]

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own to the API."""
        return http.client.HTTPConnection(*self._url, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request, tried again for a while when the connection breaks: the job child may just be replaced."""
        deadline = time.monotonic() + 60
        while True:
            connection = self.connect()
            try:
                connection.request(method, path, None if body is None else json.dumps(body))
                answer = connection.getresponse()
                raw = answer.read()
                is_json = (answer.getheader("content-type") or "").startswith("application/json")
                return answer.status, json.loads(raw) if is_json else raw
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline or method != "GET":
                    raise
                time.sleep(0.005)
            finally:
                connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        """GET."""
        return self.ask("GET", path)

    def submit(self, event: str, data: dict[str, Any] | None = None, task_id: str | None = None) -> str:
        """Create a job and return its task id."""
        request: dict[str, Any] = {"app_id": "local", "event": event, "form_body": data or {}}
        if task_id is not None:
            request["task_id"] = task_id
        status, answer = self.ask("POST", "/job/create", request)
        assert status == 200, answer
        created: str = answer["task_id"]
        return created

    def job(self, task_id: str) -> dict[str, Any]:
        """The record of a job."""
        status, answer = self.get(f"/jobs/{task_id}")
        assert status == 200, answer
        record: dict[str, Any] = answer
        return record

    def output(self, task_id: str) -> bytes:
        """The output of a job, both streams."""
        status, answer = self.get(f"/jobs/{task_id}/log")
        assert status == 200, answer
        raw: bytes = answer
        return raw

    def await_status(self, task_id: str, *statuses: str, within_s: float = 60.0) -> dict[str, Any]:
        """Wait until a job has one of `statuses` (any final one where none is named)."""
        wanted = statuses or FINAL

        def reached() -> dict[str, Any] | None:
            record = self.job(task_id)
            return record if record["status"] in wanted else None

        return eventually(reached, within_s=within_s, what=f"{task_id} reaches {wanted}") or {}

    def health(self) -> dict[str, Any]:
        """What `/healthz` says."""
        health: dict[str, Any] = self.get("/healthz")[1]
        return health

    def child_pid(self, room: str) -> int:
        """The pid of `worker` or `execs`."""
        pid: int = self.health()[room]["pid"]
        return pid

    def processes(self) -> list[int]:
        """The node's own processes and all below them."""
        return tree_of(self.pid)

    def stop(self, number: int = signal.SIGTERM, within_s: float = 60.0) -> int:
        """Signal it, wait for its end, return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def destroy(self) -> None:
        """Leave nothing running, whatever a test did."""
        if self.process is None:
            return
        if self.process.poll() is None:
            below = self.processes()
            self.process.kill()
            self.process.wait()
            eventually(lambda: not any(map(is_alive, below)), within_s=60, what="all processes of the node are gone")


def tree_of(pid: int) -> list[int]:
    """A process and all below it."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children_of(pid)
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@contextmanager
def running(
    folder: Path,
    settings: dict[str, Any],
    environ: dict[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "supervisor"),
) -> Iterator[Node]:
    """A node that is ready, for as long as the context lasts; `command` is how it is started."""
    node = Node(folder, settings, environ, command)
    try:
        node.start()
        yield node
    finally:
        node.destroy()
