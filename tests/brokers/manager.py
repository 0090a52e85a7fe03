"""A stand-in for the Job Manager: asks for jobs over a broker and writes down what is said of them, as it comes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pydantic import TypeAdapter

from job_item.connections import BrokerConnection
from job_item.job import new_task_id
from tests.conftest import eventually
from worker.brokers.choose import choose_broker
from worker.brokers.seam import Connection, Delivery

Result = TypeVar("Result")

LAST = "_finish"
SAID = ("_who", "_process", "_failed", LAST, ".notif_add")


@dataclass(frozen=True)
class Heard:
    """One message; `at_s` is of the monotonic clock."""

    what: str
    body: bytes
    at_s: float


@dataclass
class Manager:
    """Lives in a thread with a loop of its own; every method may be called from the test."""

    settings: dict[str, Any]
    project: str = "P"
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    replies: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """A subject, and what is sent whereto in the very moment in which it is first heard."""

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.connection: Connection
        self.is_connected = False

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the loop of the manager."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)

    def connect(self) -> None:
        """Connect, anew where there was a connection, however long the server takes."""
        if self.is_connected:
            self.run(self.connection.close())
        kind: TypeAdapter[Any] = TypeAdapter(BrokerConnection)
        broker = choose_broker(kind.validate_python(self.settings))

        def connected() -> bool:
            try:
                self.connection, self.is_connected = self.run(broker.connect()), True
            except Exception as error:
                raise AssertionError(str(error)) from error
            return True

        eventually(connected, within_s=90, what="the manager is connected")

    def listen(self, task_id: str, *what: str) -> None:
        """Subscribe what is said of a task."""
        self.heard.setdefault(task_id, [])
        self.run(self._listen(task_id, what or SAID))

    def listen_to_all(self, task_ids: Sequence[str], *what: str) -> None:
        """Subscribe what is said of many tasks, as many at a time as come."""
        self.heard.update({task_id: [] for task_id in task_ids})

        async def listen() -> None:
            await asyncio.gather(*(self._listen(task_id, what or SAID) for task_id in task_ids))

        self.run(listen())

    async def _listen(self, task_id: str, what: tuple[str, ...]) -> None:
        for one in what:
            await self.connection.subscribe(f"{task_id}{one}", None, partial(self._hear, task_id, one))

    async def _hear(self, task_id: str, what: str, delivery: Delivery) -> None:
        self.heard[task_id].append(Heard(what, delivery.body, time.monotonic()))
        if (reply := self.replies.pop(delivery.subject, None)) is not None:
            await self.connection.publish(*reply)
        await delivery.accept()

    def publish(self, subject: str, body: bytes | str) -> None:
        """Send something."""
        self.run(self.connection.publish(subject, body if isinstance(body, bytes) else body.encode()))

    def trigger(self, event: str, data: object = None, task_id: str | None = None, *, listen: bool = True) -> str:
        """Ask for a job and return its task id."""
        task_id = task_id or new_task_id()
        if listen:
            self.listen(task_id)
        self.publish(f"{self.project}.{event}", json.dumps({"task_id": task_id, "data": data or {}}))
        return task_id

    def control(self, task_id: str, action: str) -> None:
        """Ask for the end of a job, as soon as somebody listens for that: a busy broker lets a node do so late."""
        body = json.dumps({"task_id": task_id, "data": None, "action": action}).encode()
        ask = partial(self.connection.deliver, f"{task_id}_worker", body)
        eventually(lambda: self.run(ask()), within_s=60, what=f"{task_id} listens for its end")

    def ping(self, task_id: str) -> None:
        """Ping a task as soon as it listens; what it answers is heard."""
        self.listen(task_id, "_listen.callback")
        ping = partial(self.connection.deliver, f"{task_id}_listen", b"?")
        eventually(lambda: self.run(ping()), what=f"{task_id} listens to pings")

    def said(self, task_id: str, what: str) -> list[bytes]:
        """What was heard of a task on one subject."""
        return [heard.body for heard in tuple(self.heard[task_id]) if heard.what == what]

    def await_said(self, task_id: str, what: str = LAST, within_s: float = 60.0) -> bytes:
        """Wait for the first message of a task on one subject."""
        return eventually(lambda: self.said(task_id, what), within_s=within_s, what=f"{task_id}{what}")[0]

    def order(self, task_id: str) -> list[str]:
        """What was heard of a task, without repetitions that follow each other."""
        names = [heard.what for heard in self.heard[task_id]]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    def close(self) -> None:
        """Leave."""
        if self.is_connected:
            self.run(self.connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def manager_of(settings: dict[str, Any], project: str = "P") -> Iterator[Manager]:
    """A manager that is connected, for as long as the context lasts."""
    manager = Manager(settings, project)
    try:
        manager.connect()
        yield manager
    finally:
        manager.close()
