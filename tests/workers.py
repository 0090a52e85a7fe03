"""A real job child with a real link, and the test in the place of its parent."""

from __future__ import annotations

import http.client
import json
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from job_item.job import new_task_id
from job_item.link import Adopt, Adopted, Ready, Swept, ToChild
from job_item.settings import Settings
from supervisor import listen
from supervisor.child import Child, spawn
from supervisor.forkserver import Forkserver
from supervisor.multi import wait
from supervisor.tables import Room
from tests.boards import start_with
from tests.conftest import eventually

FINAL = ("finish", "error", "timeout", "terminate")
Kind = TypeVar("Kind")


class Parent:
    """Has one job child at a time, all of them on one socket and in one folder, as the supervisor does."""

    def __init__(self, folder: Path, births: Forkserver, **settings: Any) -> None:
        self.folder = folder
        self.births = births
        self.listener = listen.bind(Settings.model_validate({"api": {"port": 0}}).api)
        self.log = folder / "log"
        self._settings = settings
        self._digests = 0
        self.child: Child

    def packed(self, **members: Any) -> bytes:
        """What the newest settings make of a child."""
        settings = Settings.model_validate({"log": {"format": "json"}, **self._settings})
        state_dir = self.folder / "state"
        start = start_with(self.folder, settings, base_url=listen.url_of(self.listener), **members)
        return pickle.dumps(replace(start, state_dir=state_dir, digest=str(self._digests)))

    def edit(self, **settings: Any) -> bytes:
        """Change some settings; what is in force stays as it is."""
        self._settings = {**self._settings, **settings}
        self._digests += 1
        return self.packed()

    def bear(self, *, is_swept: bool = True) -> None:
        """Start a child, wait until it is ready, and let it run jobs."""
        self.child = spawn(
            self.births, Room.WORKER, "tests.workers:main", self.packed(), new_task_id(), (self.listener,)
        )
        self.hear(Ready)
        if is_swept:
            self.say(Swept())
            eventually(lambda: self.ask("GET", "/readyz")[0] == 200)

    def say(self, message: ToChild) -> None:
        """Tell the child something."""
        self.child.send(message)

    def adopt(self, **settings: Any) -> None:
        """Change some settings and wait until they are in force."""
        self.say(Adopt(self.edit(**settings)))
        assert self.hear(Adopted).digest == str(self._digests)

    def hear(self, kind: type[Kind], within_s: float = 60.0) -> Kind:
        """Wait for a message of this kind; others are let go by."""
        deadline = time.monotonic() + within_s
        while (left_s := deadline - time.monotonic()) > 0:
            if wait([self.child.link.fileno()], left_s):
                message = self.child.link.receive()
                assert message is not None, f"the child is gone: {self.told()}"
                if isinstance(message, kind):
                    return message
        raise AssertionError(f"no {kind.__name__} within {within_s} s: {self.told()}")

    def hears_nothing_of(self, kind: type[Any], turns: int = 3) -> bool:
        """Whether a child that has just answered so many requests has not said such a thing before."""
        for _ in range(turns):
            self.ask("GET", "/healthz")
        while wait([self.child.link.fileno()], 0):
            message = self.child.link.receive()
            assert message is not None, f"the child is gone: {self.told()}"
            if isinstance(message, kind):
                return False
        return True

    def is_alive(self) -> bool:
        """Whether the child has not ended yet."""
        return not wait([self.child.grave], 0)

    def end(self, within_s: float = 60.0) -> int | None:
        """Wait for the end of the child and return its exit code."""
        assert wait([self.child.grave], within_s), f"the child does not end: {self.told()}"
        return self.child.bury()

    def told(self) -> list[dict[str, Any]]:
        """The lines of the log so far."""
        try:
            return [json.loads(line) for line in self.log.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own to the API."""
        return http.client.HTTPConnection("127.0.0.1", self.listener.getsockname()[1], timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request on a connection of its own: never refused, whoever serves it."""
        connection = self.connect()
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            raw = answer.read()
            is_json = (answer.getheader("content-type") or "").startswith("application/json")
            return answer.status, json.loads(raw) if is_json else raw
        finally:
            connection.close()

    def trigger(self, event: str, **data: Any) -> tuple[int, dict[str, Any]]:
        """Ask for a job."""
        return self.ask("POST", "/job/create", {"app_id": "local", "event": event, "form_body": data})

    def submit(self, event: str, **data: Any) -> str:
        """Create a job and return its task id."""
        status, answer = self.trigger(event, **data)
        assert status == 200, answer
        task_id: str = answer["task_id"]
        return task_id

    def job(self, task_id: str) -> dict[str, Any]:
        """The record of a job."""
        status, answer = self.ask("GET", f"/jobs/{task_id}")
        assert status == 200, answer
        record: dict[str, Any] = answer
        return record

    def await_status(self, task_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until a job has one of `statuses` (any final one where none is named)."""
        wanted = statuses or FINAL

        def reached() -> dict[str, Any] | None:
            record = self.job(task_id)
            return record if record["status"] in wanted else None

        return eventually(reached, within_s=60, what=f"{task_id} reaches {wanted}") or {}

    def output(self, task_id: str) -> str:
        """What a job has written."""
        raw: bytes = self.ask("GET", f"/jobs/{task_id}/log")[1]
        return raw.decode()

    def close(self) -> None:
        """Leave nothing."""
        if hasattr(self, "child"):
            self.child.kill()
            self.child.unlink()
        self.listener.close()


def main(start: Any, connection: Any, api_socket: Any) -> None:
    """Be the real job child, with a log of its own."""
    from worker import app

    log = os.open(start.work_dir / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    app.main(start, connection, api_socket)


@contextmanager
def births() -> Iterator[Forkserver]:
    """Where job children are made."""
    made = Forkserver(["supervisor.child", "worker.app", "tests.workers"])
    try:
        yield made
    finally:
        made.close()


@contextmanager
def parent_of(folder: Path, births: Forkserver, **settings: Any) -> Iterator[Parent]:
    """A parent whose child runs jobs."""
    (folder / "state").mkdir(parents=True, mode=0o700)
    parent = Parent(folder, births, **settings)
    try:
        parent.bear()
        yield parent
    finally:
        parent.close()
