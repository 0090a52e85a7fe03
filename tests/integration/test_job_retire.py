"""A job child makes room for a successor: what runs ends in its own time, and nothing that was accepted is lost."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from job_item.job import new_task_id
from job_item.link import Cancel, Drain, Drained, Idle, Retire, Swept, WhenIdle
from supervisor.forkserver import Forkserver
from tests.conftest import eventually
from tests.workers import Parent, births, parent_of
from worker.api.connection import COMING_S

WAIT = "while [ ! -e go ]; do sleep 0.02; done"
JOBS: list[dict[str, Any]] = [
    {"event": "hello", "cmd": "echo hello"},
    {"event": "wait", "cmd": WAIT, "kill_grace": 0.2, "concurrency": 1},
    {"event": "again", "cmd": "exit 4", "retries": {"attempts": 2, "backoff": 3600, "backoff_max": 3600}},
    {"event": "once", "cmd": 'echo "$JOB_ITEM_TASK_ID" >> ran'},
]
SWITCHES = 20


@pytest.fixture(scope="module")
def born() -> Iterator[Forkserver]:
    with births() as made:
        yield made


@pytest.fixture
def parent(tmp_path: Path, born: Forkserver) -> Iterator[Parent]:
    with parent_of(tmp_path, born, jobs=JOBS) as parent:
        yield parent


def retiring(parent: Parent) -> str:
    """Have a child retire while a job runs; the task id of that job."""
    task_id = parent.submit("wait")
    parent.await_status(task_id, "running")
    parent.say(Retire())
    eventually(lambda: parent.ask("GET", "/readyz")[1]["reasons"])
    return task_id


def replace(parent: Parent) -> None:
    """Wait for the end of a child that retires, and start its successor."""
    parent.hear(Drained)
    assert parent.end() == 0
    parent.bear()


def test_a_child_with_nothing_to_do_makes_room_at_once(parent: Parent) -> None:
    task_id = parent.submit("hello")
    parent.await_status(task_id)
    parent.say(Retire())
    replace(parent)
    assert parent.job(task_id)["status"] == "finish"


def test_what_runs_may_take_its_time_and_what_comes_is_kept_for_the_successor(parent: Parent) -> None:
    running = retiring(parent)
    assert parent.ask("GET", "/readyz")[0] == 200
    waiting, new = parent.submit("wait"), parent.submit("hello")
    assert parent.is_alive()
    assert parent.job(running)["status"] == "running"
    assert {parent.job(task_id)["status"] for task_id in (waiting, new)} == {"queued"}
    (parent.folder / "go").touch()
    replace(parent)
    assert parent.job(running)["status"] == "finish"
    assert [parent.await_status(task_id)["attempt"] for task_id in (running, waiting, new)] == [1, 1, 1]


def test_the_pages_of_running_jobs_work_until_the_end(parent: Parent) -> None:
    running = retiring(parent)
    assert parent.ask("POST", f"/msg/notif/{running}", {"msg": "half"})[0] == 200
    assert parent.ask("GET", f"/jobs/{running}/log")[0] == 200
    assert parent.ask("POST", f"/jobs/{running}/cancel")[0] == 200
    replace(parent)
    assert parent.job(running)["status"] == "terminate"


def test_a_job_that_waits_for_its_next_attempt_holds_nothing_up(parent: Parent) -> None:
    task_id = parent.submit("again")
    eventually(lambda: parent.job(task_id)["attempt"] == 1 and parent.job(task_id)["status"] == "queued")
    parent.say(Retire())
    replace(parent)
    assert parent.job(task_id)["status"] == "queued"


def test_a_child_works_on_until_no_job_runs_and_then_starts_nothing_more(parent: Parent) -> None:
    running = parent.submit("wait")
    parent.await_status(running, "running")
    parent.say(WhenIdle())
    assert parent.await_status(parent.submit("hello"))["status"] == "finish"
    assert parent.hears_nothing_of(Idle)
    (parent.folder / "go").touch()
    parent.hear(Idle)
    waiting = parent.submit("hello")
    assert parent.job(waiting)["status"] == "queued"
    parent.say(Retire())
    replace(parent)
    assert [parent.await_status(task_id)["attempt"] for task_id in (running, waiting)] == [1, 1]


def test_a_child_that_has_not_begun_yet_is_idle_and_begins_nothing(parent: Parent) -> None:
    parent.say(Retire())
    parent.hear(Drained)
    assert parent.end() == 0
    parent.bear(is_swept=False)
    waiting = parent.submit("hello")
    parent.say(WhenIdle())
    parent.hear(Idle)
    parent.say(Swept())
    assert parent.hears_nothing_of(Idle)
    assert parent.job(waiting)["status"] == "queued"
    parent.say(Retire())
    replace(parent)
    assert parent.await_status(waiting)["attempt"] == 1


def test_settings_may_change_while_a_child_retires(parent: Parent) -> None:
    running = retiring(parent)
    parent.adopt(jobs=[*JOBS, {"event": "new", "cmd": "echo new"}])
    late = parent.submit("new")
    assert parent.job(late)["status"] == "queued"
    (parent.folder / "go").touch()
    replace(parent)
    assert parent.await_status(late)["status"] == "finish"
    assert parent.job(running)["status"] == "finish"


def drain(parent: Parent) -> None:
    parent.say(Drain(0.0))


def terminate(parent: Parent) -> None:
    os.kill(parent.child.pid, signal.SIGTERM)


def cancel(parent: Parent) -> None:
    parent.say(Cancel())


@pytest.mark.parametrize("stop", [drain, terminate, cancel])
def test_a_stop_of_a_child_that_retires_has_its_bound(
    stop: Callable[[Parent], None], tmp_path: Path, born: Forkserver
) -> None:
    with parent_of(tmp_path, born, jobs=JOBS, drain_grace=0) as parent:
        running = retiring(parent)
        stop(parent)
        replace(parent)
        assert parent.job(running)["status"] == "terminate"


def test_a_drain_of_a_child_that_retires_takes_no_new_jobs_and_gives_what_runs_its_grace(parent: Parent) -> None:
    running = retiring(parent)
    parent.say(Drain(60.0))
    eventually(lambda: parent.trigger("hello")[0] == 503)
    assert parent.job(running)["status"] == "running"
    (parent.folder / "go").touch()
    replace(parent)
    assert parent.job(running)["status"] == "finish"


def test_a_child_may_retire_before_it_runs_jobs(parent: Parent) -> None:
    running = parent.submit("wait")
    parent.await_status(running, "running")
    parent.child.kill()
    parent.end()
    parent.bear(is_swept=False)
    (parent.folder / "go").touch()
    parent.say(Retire())
    replace(parent)
    record = parent.await_status(running)
    assert (record["status"], record["attempt"]) == ("finish", 2)


def test_who_has_connected_before_the_switch_is_answered(parent: Parent) -> None:
    os.kill(parent.child.pid, signal.SIGSTOP)  # a client that is silent for 0.2 s is let go, however busy the machine
    clients = [socket.create_connection(parent.listener.getsockname()) for _ in range(20)]
    parent.say(Retire())
    for client in clients:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    os.kill(parent.child.pid, signal.SIGCONT)
    replace(parent)
    for client in clients:
        with client:
            client.settimeout(60)
            assert client.recv(100).startswith(b"HTTP/1.1 200")


class Client:
    """Submits without pause on a connection that it keeps; sends again, with the same task id, when that breaks."""

    def __init__(self, parent: Parent) -> None:
        self._parent = parent
        self._connection: http.client.HTTPConnection | None = None
        self._spoken_s = 0.0
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.accepted: list[str] = []
        self.failures: list[str] = []
        self.retried = 0
        self._thread.start()

    def stop(self) -> None:
        self._is_done.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._is_done.is_set():
            self._submit(new_task_id())
        if self._connection is not None:
            self._connection.close()

    def _submit(self, task_id: str) -> None:
        while True:
            is_kept, self._connection = self._connection is not None, self._connection or self._parent.connect()
            began_s = time.monotonic()
            try:
                status, will_close = self._ask(self._connection, task_id)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._connection = None
                self.retried += 1
                # One that was slow to speak, as this thread got no processor, may have been let go before.
                if not is_kept and self._spoken_s - began_s < COMING_S / 2:
                    self.failures.append(f"a new connection broke: {error!r}")
                    return
                continue
            if will_close:
                self._connection.close()
                self._connection = None
            if status == 200:
                self.accepted.append(task_id)
            else:
                self.failures.append(f"status {status}")
            return

    def _ask(self, connection: http.client.HTTPConnection, task_id: str) -> tuple[int, bool]:
        request = {"app_id": "local", "event": "once", "form_body": {}, "task_id": task_id}
        try:
            connection.request("POST", "/job/create", json.dumps(request))
        finally:
            self._spoken_s = time.monotonic()
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.will_close


def await_progress(clients: list[Client], jobs: int = 20) -> None:
    """Wait until so many more jobs are accepted."""

    def accepted() -> int:
        return sum(len(client.accepted) for client in clients)

    goal = accepted() + jobs
    eventually(lambda: accepted() >= goal)


def test_no_trigger_is_lost_between_a_child_and_its_successor(parent: Parent) -> None:
    clients = [Client(parent) for _ in range(3)]
    try:
        for _ in range(SWITCHES):
            await_progress(clients)
            parent.say(Retire())
            replace(parent)
    finally:
        for client in clients:
            client.stop()
    accepted = [task_id for client in clients for task_id in client.accepted]
    assert [failure for client in clients for failure in client.failures] == []
    assert len(accepted) == len(set(accepted)) > SWITCHES * 20
    eventually(lambda: parent.ask("GET", "/healthz")[1]["counts"]["finish"] >= len(accepted), within_s=150)
    ran = Counter((parent.folder / "ran").read_text().split())
    assert set(accepted) <= set(ran)
    assert set(ran.values()) == {1}
