"""The jobs of the project: asked for when it is their turn, listened to, and ended when their time is over."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from examples.job_manager.bus import Bus
from examples.job_manager.settings import Settings
from examples.job_manager.store import Store
from job_item.job import new_task_id

SAID = ("_who", "_process", ".notif_add", "_failed", "_listen.callback", "_finish")
"""The subjects of a task; that of its end comes last, so that whoever finds somebody there finds us on all others."""
REPORTS = tuple(f"listen_{what}_information" for what in ("host", "cpu", "mem", "net", "disk", "traffic"))
AGAIN_S = 1.0
"""The pause before a job is offered again that no node took."""
CONTROL_S = 6.0
"""The pause before the end of a job is asked for again. Redis lets no equal message through within 5 s."""
LATE_S = 10.0
"""How long a job is listened to after its end: queues of RabbitMQ have no order among each other."""


class Board:
    """Runs as long as the manager does."""

    def __init__(self, settings: Settings, store: Store, bus: Bus) -> None:
        self._settings = settings
        self._store = store
        self._bus = bus
        self._events = settings.events()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen to all that has not ended, and begin to send."""
        for subject in REPORTS:
            await self._bus.listen(subject, self._take_report)
        for job in self._store.unended("waiting", "sent", "running"):
            await self._follow(job["task_id"])
            if job["status"] == "running":
                self._arm(job)
        self._bus.on_up = self._wake.set
        self._spawn(self._send_all())

    async def stop(self) -> None:
        """Leave everything as it is; the store knows it."""
        for timer in self._timers.values():
            timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def create(self, event: str, data: Any) -> str:
        """Take a job in; returns its task id. Raises `KeyError` for an event that is not registered."""
        self._events[event]
        task_id = new_task_id()
        self._store.add_job(task_id, event, json.dumps(data))
        await self._follow(task_id)
        self._wake.set()
        return task_id

    async def end(self, task_id: str, action: str) -> None:
        """Ask for the end of a job, again and again until it has ended."""
        if self._store.withdraw(task_id, action):
            await self._leave(task_id)
            return
        job = self._store.job(task_id)
        if job is None or job["ended_at"] is not None:
            return
        control = {"task_id": task_id, "data": None, "action": action}
        await self._bus.publish(f"{task_id}_worker", json.dumps(control).encode())
        self._set_timer(task_id, CONTROL_S, action)

    async def ping(self, task_id: str) -> bool:
        """Ask whether a node runs a job; its answer comes as `_listen.callback`."""
        return await self._bus.publish(f"{task_id}_listen", b"hello")

    async def restart(self) -> bool:
        """Ask the nodes of the project to read their settings again."""
        return await self._bus.publish(f"{self._settings.project.subject}.restart", b"")

    async def _send_all(self) -> None:
        """Send what waits, whenever something may have changed."""
        while True:
            self._wake.clear()
            if self._bus.is_up and not all([await self._send(job) for job in self._store.unended("waiting")]):
                self._loop.call_later(AGAIN_S, self._wake.set)
            await self._wake.wait()

    async def _send(self, job: Mapping[str, Any]) -> bool:
        """Send a job if it is its turn; False where no node took it."""
        task_id, event = job["task_id"], job["event"]
        limit = self._events.get(event, (0, 0))[0]
        if limit and self._store.at_once(event) >= limit:
            return True
        trigger = {"task_id": task_id, "data": json.loads(job["data"]), "action": "execute"}
        subject = f"{self._settings.project.subject}.{event}"
        if not await self._bus.publish(subject, json.dumps(trigger).encode()):
            return False
        self._store.sent(task_id)
        return True

    async def _follow(self, task_id: str) -> None:
        for what in SAID:
            await self._bus.listen(f"{task_id}{what}", partial(self._take, task_id, what))

    async def _take(self, task_id: str, what: str, _: str, body: bytes) -> None:
        """Hear what a node says of a job."""
        self._store.hear(task_id, what, body)
        if what == "_who" and (job := self._store.job(task_id)):
            self._arm(job)
        elif what == "_finish":
            self._clear_timer(task_id)
            self._wake.set()
            self._timers[task_id] = self._loop.call_later(LATE_S, lambda: self._spawn(self._leave(task_id)))

    async def _take_report(self, subject: str, body: bytes) -> None:
        with suppress(ValueError, AttributeError):
            report = json.loads(body)
            self._store.report(subject, str(report.get("host_id") or report.get("hostId")), body.decode())

    async def _leave(self, task_id: str) -> None:
        self._clear_timer(task_id)
        for what in SAID:
            await self._bus.leave(f"{task_id}{what}")

    def _arm(self, job: Mapping[str, Any]) -> None:
        """See to it that a running job ends when its time is over."""
        timeout_s = self._events.get(job["event"], (0, 0.0))[1]
        if timeout_s and job["began_at"] and job["ended_at"] is None:
            left_s = min(timeout_s, max(0.0, job["began_at"] + timeout_s - time.time()))
            self._set_timer(job["task_id"], left_s, "timeout")

    def _set_timer(self, task_id: str, after_s: float, action: str) -> None:
        self._clear_timer(task_id)
        self._timers[task_id] = self._loop.call_later(after_s, lambda: self._spawn(self.end(task_id, action)))

    def _clear_timer(self, task_id: str) -> None:
        if timer := self._timers.pop(task_id, None):
            timer.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
