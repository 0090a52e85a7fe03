"""The example Job Manager (`examples/job_manager`) as a process of its own: the counterpart of a node in tests."""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import ROOT, eventually, free_port

PROJECT, UUID = "P", "0190a5f2-7c3e-7000-8000-000000000001"
KEY = "the-key-of-the-project"
PASSWORD = "open sesame"
FINAL = ("finish", "error", "timeout", "terminate")


class JobManager:
    """One manager. `folder` holds its settings and its state; the port stays the same over restarts."""

    def __init__(self, folder: Path, connection: dict[str, Any], jobs: list[dict[str, Any]], **more: Any) -> None:
        self.folder = folder
        self.password = PASSWORD
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "manager.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        settings = {
            "project": {"id": PROJECT, "key": KEY, "uuid": UUID},
            "broker_connection": connection,
            "password": PASSWORD,
            "jobs": jobs,
            "port": self.port,
            **more,
        }
        (folder / "manager.yaml").write_text(yaml.safe_dump(settings))

    @classmethod
    def reach(cls, port: int, password: str) -> JobManager:
        """One that somebody else has started."""
        found = cls.__new__(cls)
        found.port, found.password = port, password
        return found

    def start(self, *, connected: bool = True, within_s: float = 90.0) -> None:
        """Start it; with `connected`, wait until it hears the broker."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.job_manager", str(self.folder / "manager.yaml")],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self.overview()["broker"] or not connected, within_s=within_s, what=str(self.log))

    def kill(self) -> None:
        """End it as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End it as its operator does: what has come to it is taken."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(120)
        self.process = None

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """One request of a person."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        password = base64.b64encode(f"admin:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {password}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            raise AssertionError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Some JSON."""
        status, body = self.ask("GET", path)
        assert status == 200, body
        return json.loads(body)

    def overview(self) -> Any:
        """Jobs, counts, reports."""
        return self.get("/api/overview")

    def create(self, event: str, data: Any = None) -> str:
        """Start a job."""
        status, body = self.ask("POST", "/api/jobs", {"event": event, "data": data or {}})
        assert status == 200, body
        task_id: str = json.loads(body)["task_id"]
        return task_id

    def act(self, task_id: str, action: str) -> None:
        """Have a job ended, or pinged."""
        status, body = self.ask("POST", f"/api/jobs/{task_id}/{action}", {})
        assert status == 200, body

    def job(self, task_id: str) -> Any:
        """All that is known of a job but its output."""
        return self.get(f"/api/jobs/{task_id}")

    def output(self, task_id: str) -> bytes:
        """Its standard output."""
        return self.ask("GET", f"/api/jobs/{task_id}/output")[1]

    def said(self, task_id: str, what: str) -> list[str]:
        """What was heard of a job on one of its subjects."""
        return [one["body"] for one in self.job(task_id)["said"] if one["what"] == what]

    def order(self, task_id: str) -> list[str]:
        """On which subjects of a job something was heard, in order, but for its output."""
        return [one["what"] for one in self.job(task_id)["said"]]

    def notes(self, task_id: str) -> list[str]:
        """The texts of its notifications."""
        return [json.loads(body)["msg"] for body in self.said(task_id, ".notif_add")]

    def await_status(self, task_id: str, *statuses: str, within_s: float = 60.0) -> Any:
        """Wait until a job has one of `statuses` (any final one where none is named)."""
        wanted = statuses or FINAL

        def reached() -> Any:
            job = self.job(task_id)
            assert job["status"] in wanted, job
            return job

        return eventually(reached, within_s=within_s, what=f"{task_id} reaches {wanted}")


@contextmanager
def managing(folder: Path, connection: dict[str, Any], jobs: list[dict[str, Any]], **more: Any) -> Iterator[JobManager]:
    """A manager that is connected, for as long as the context lasts."""
    manager = JobManager(folder, connection, jobs, **more)
    try:
        manager.start()
        yield manager
    finally:
        manager.kill()
        told = manager.log.read_text()
        assert "Traceback" not in told, told[-4000:]


def node_settings(manager: JobManager, **more: Any) -> dict[str, Any]:
    """The configuration of a node that belongs to this manager, which names the broker."""
    return {
        "end_point": manager.url,
        "credential": {"project_id": PROJECT, "secret_key": KEY},
        "finish_settle": 0,
        **more,
    }
