"""A desk in memory, as faithful as the real one where its API can tell, and a way to serve it from a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from job_item.errors import BadMessage, Unavailable
from job_item.job import AttemptRecord, JobRecord, Status, Usage, is_task_id, new_task_id
from job_item.link import ExecState
from job_item.orders import Refusal, Verb
from job_item.reload import ReloadReport, SettingsState
from job_item.state import exec_log
from worker.api.server import Server
from worker.desk import Desk, Health, NewJob, Note, Outgoing, Readiness, Watch
from worker.execlog import KeptLog
from worker.letters import Letter
from worker.lognews import LogNews
from worker.metrics.meter import Meter
from worker.metrics.observation import Jobs, Observation

Result = TypeVar("Result")

EVENTS = frozenset({"hello", "count"})


@dataclass
class MemoryLog:
    """The output of one attempt."""

    data: bytearray = field(default_factory=bytearray)
    pieces: list[tuple[int, int, str]] = field(default_factory=list)
    runs_at_once: int = 1024

    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, limit: int) -> bytes:
        return bytes(self.data[offset : offset + limit])

    def runs(self, start: int, stop: int) -> Sequence[tuple[int, int, str]]:
        found = ((max(a, start), min(b, stop), who) for a, b, who in self.pieces if a < stop and b > start)
        return list(islice(found, self.runs_at_once))

    def write(self, stream: str, data: bytes) -> None:
        start = len(self.data)
        self.data += data
        if self.pieces and self.pieces[-1][2] == stream:
            start = self.pieces.pop()[0]
        self.pieces.append((start, len(self.data), stream))


class MemoryWatch:
    """News of one job for one who follows it."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def changed(self) -> None:
        await self.event.wait()
        self.event.clear()


class MemoryDesk:
    """Holds jobs in memory; a test moves them on with `begin`, `write`, `end`."""

    def __init__(self, *, project: str = "P", queue: int = 1_000_000) -> None:
        self.leaves: Outgoing | None = None
        self.project = project
        self.base_url = ""
        self.queue = queue
        self.draining = False
        self.broken: Exception | None = None
        self.ready = Readiness(True)
        self.exec_states: tuple[ExecState, ...] = ()
        self.state_dir = Path("/nonexistent")
        """Where the logs of execs are: real files below a folder of the test's."""
        self.exec_orders: list[tuple[str, Verb]] = []
        self.reloads: list[tuple[bool, str | None]] = []
        self.refusal: Refusal | None = None
        """What orders are refused with."""
        self.report = ReloadReport("0d1e")
        self.settings = SettingsState("0d1e", 1_700_000_000.0)
        self._log_news: LogNews | None = None
        self.requests: list[NewJob] = []
        self.meter = Meter()
        self.watches: dict[str, list[MemoryWatch]] = {}
        self._jobs: dict[str, JobRecord] = {}
        self._logs: dict[tuple[str, int], MemoryLog] = {}
        self._notes: dict[str, list[Note]] = {}
        self.letters: dict[str, Letter] = {}
        self._shared: dict[tuple[str, str], list[str]] = {}

    # what the API asks

    async def create(self, request: NewJob) -> JobRecord:
        if self.broken:
            raise self.broken
        if request.app_id not in (None, self.project):
            raise BadMessage("ERR-JOB-002", f"This node serves project {self.project!r}, not {request.app_id!r}.")
        if request.event not in EVENTS:
            raise BadMessage("ERR-JOB-001", f"No job is configured for event {request.event!r}.")
        task_id = request.task_id or new_task_id()
        if not is_task_id(task_id):
            raise BadMessage("ERR-JOB-003", f"{task_id!r} is not acceptable as a task id.")
        if task_id in self._jobs:
            return self._jobs[task_id]
        if self.draining:
            raise Unavailable("ERR-JOB-005", "The node is stopping and takes no new jobs.")
        if len(self._jobs) >= self.queue:
            raise Unavailable("ERR-JOB-004", f"The queue is full ({self.queue} jobs).")
        self.requests.append(request)
        record = JobRecord(task_id, request.event, Status.QUEUED, 0, time.time())
        self._jobs[task_id] = record
        return record

    def job(self, task_id: str) -> JobRecord | None:
        return self._jobs.get(task_id)

    def jobs(
        self, *, status: Status | None = None, event: str | None = None, before: str | None = None, limit: int = 100
    ) -> Sequence[JobRecord]:
        ids = list(reversed(self._jobs))
        if before is not None:
            ids = ids[ids.index(before) + 1 :] if before in ids else []
        found = (self._jobs[task_id] for task_id in ids)
        chosen = [r for r in found if status in (None, r.status) and event in (None, r.event)]
        return [replace(record, attempts=()) for record in chosen[:limit]]

    async def cancel(self, task_id: str, wish: Status = Status.TERMINATE) -> JobRecord | None:
        record = self._jobs.get(task_id)
        if record and not record.status.is_final:
            self.end(task_id, wish)
        return self._jobs.get(task_id)

    async def notify(self, task_id: str, msg: str) -> bool:
        if task_id not in self._jobs:
            return False
        notes = self._notes.setdefault(task_id, [])
        notes.append(Note(len(notes) + 1, time.time(), msg))
        self._tell(task_id)
        return True

    def notes(self, task_id: str, after: int = 0) -> Sequence[Note]:
        return [note for note in self._notes.get(task_id, []) if note.number > after][-1000:]

    async def share(self, task_id: str, key: str, data: str, ttl_s: float | None) -> None:
        self._shared.setdefault((task_id, key), []).append(data)

    def shared(self, task_id: str, key: str) -> Sequence[str]:
        return self._shared.get((task_id, key), [])

    def outgoing(self) -> Outgoing | None:
        return self.leaves

    async def dead(self, limit: int) -> Sequence[Letter]:
        return list(self.letters.values())[:limit]

    async def retry_dead(self, task_id: str) -> bool:
        return self.letters.pop(task_id, None) is not None

    async def drop_dead(self, task_id: str) -> bool:
        return self.letters.pop(task_id, None) is not None

    def log(self, task_id: str, attempt: int | None = None) -> MemoryLog | None:
        record = self._jobs.get(task_id)
        return self._logs.get((task_id, attempt or record.attempt)) if record else None

    @contextmanager
    def watch(self, task_id: str) -> Iterator[MemoryWatch]:
        watch = MemoryWatch()
        self.watches.setdefault(task_id, []).append(watch)
        try:
            yield watch
        finally:
            self.watches[task_id].remove(watch)

    def counts(self) -> dict[Status, int]:
        return {status: sum(r.status is status for r in self._jobs.values()) for status in Status}

    def slots(self) -> int:
        return 4

    def execs(self) -> Sequence[ExecState]:
        return self.exec_states

    async def order_exec(self, key: str, verb: Verb) -> Refusal | None:
        if self.broken:
            raise self.broken
        self.exec_orders.append((key, verb))
        if self.refusal is None:
            new = {"state": "stopped", "pid": None} if verb == "stop" else {"state": "running", "pid": 78}
            self.change_exec(key, **new)
        return self.refusal

    def exec_log(self, key: str) -> KeptLog:
        return KeptLog(exec_log(self.state_dir, key))

    def watch_exec(self, key: str) -> AbstractContextManager[Watch]:
        if self._log_news is None:
            self._log_news = LogNews(self.state_dir / "execs")
        return self._log_news.follow(exec_log(self.state_dir, key).name)

    async def reload(self, *, is_dry: bool, candidate: str | None = None) -> ReloadReport | Refusal:
        if self.broken:
            raise self.broken
        self.reloads.append((is_dry, candidate))
        return self.refusal or self.report

    def health(self) -> Health:
        return Health("0.1.0", "node-1", 12.5, 10, 11, None, self.settings)

    def readiness(self) -> Readiness:
        return self.ready

    async def observe(self) -> Observation:
        counts = Counter((record.event, record.status) for record in self._jobs.values())
        jobs = Jobs(counts, {}, {}, 0, 4, self.queue, EVENTS, self.meter)
        return Observation(self.health(), self.ready.ready, jobs, self.exec_states)

    # what a test does

    def change_exec(self, key: str, **new: Any) -> None:
        """Let an exec come into another state."""
        self.exec_states = tuple(replace(each, **new) if each.key == key else each for each in self.exec_states)
        if self._log_news is not None:
            self._log_news.publish(exec_log(self.state_dir, key).name)

    def begin(self, task_id: str) -> None:
        """Start the next attempt of a job."""
        now = time.time()
        record = self._jobs[task_id]
        attempt = AttemptRecord(record.attempt + 1, record.attempt + 1, "i", now)
        self._logs[task_id, attempt.attempt] = MemoryLog()
        self._jobs[task_id] = replace(
            record,
            status=Status.RUNNING,
            attempt=attempt.attempt,
            started_at=now,
            attempts=(*record.attempts, attempt),
        )
        self._tell(task_id)

    def write(self, task_id: str, data: bytes, stream: str = "stdout") -> None:
        """Let a running job write."""
        log = self.log(task_id)
        assert log is not None
        log.write(stream, data)
        self._tell(task_id)

    def end(self, task_id: str, status: Status, *, exit_code: int | None = None, usage: Usage | None = None) -> None:
        """End the attempt of a job; `QUEUED` lets it wait for another one."""
        now = time.time()
        record = self._jobs[task_id]
        failed = status not in (Status.FINISH, Status.TERMINATE)
        code, error = ("ERR-RUN-001", "The command ended with exit code 3.") if failed else (None, None)
        attempts = [
            replace(
                attempt,
                finished_at=attempt.finished_at or now,
                status=attempt.status or (status if status.is_final else Status.ERROR),
                exit_code=exit_code,
                error_code=code,
                error=error,
                usage=usage or Usage(),
            )
            for attempt in record.attempts
        ]
        self._jobs[task_id] = replace(
            record,
            status=status,
            finished_at=now if status.is_final else None,
            exit_code=exit_code,
            error_code=code if status.is_final else None,
            error=error if status.is_final else None,
            attempts=tuple(attempts),
        )
        self._tell(task_id)

    def _tell(self, task_id: str) -> None:
        for watch in self.watches.get(task_id, []):
            watch.event.set()


@dataclass
class Reply:
    """An answer, read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A desk that is served; the loop runs in a thread of its own."""

    def __init__(self, desk: MemoryDesk, *, token: str | None = None, host: str = "127.0.0.1") -> None:
        self.desk = desk
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        listener = listen()
        self.port: int = listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}"
        seen: Desk = desk
        self.server = Server(seen, listener, token, host=host)
        self.wait(self.server.start())

    def wait(self, work: Any, timeout_s: float = 60.0) -> Any:
        """Run a coroutine in the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def do(self, act: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Call a function in the loop and wait for its result."""

        async def call() -> Result:
            return act(*args, **kwargs)

        result: Result = self.wait(call())
        return result

    def create(self, task_id: str = "T1", event: str = "hello") -> str:
        """Make a job without HTTP."""
        record: JobRecord = self.wait(self.desk.create(NewJob(event, {}, task_id=task_id)))
        return record.task_id

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection of its own."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, raw: bool = False
    ) -> Reply:
        """Send one request over a fresh connection and read the answer."""
        connection = self.connect()
        content = body if raw or body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def exchange(self, request: bytes) -> bytes:
        """Send bytes as they are, read until the server closes the connection.

        A server that has answered hears a client out for two seconds: one that stood still meanwhile reads the answer.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            with suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def close(self) -> None:
        """Stop the server and its loop."""
        self.wait(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


def listen() -> socket.socket:
    """Bind a socket as the parent does."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


@contextmanager
def serve(desk: MemoryDesk | None = None, *, token: str | None = None, host: str = "127.0.0.1") -> Iterator[Served]:
    """Serve a desk for the length of a `with` block."""
    served = Served(desk or MemoryDesk(), token=token, host=host)
    try:
        yield served
    finally:
        served.close()
