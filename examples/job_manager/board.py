"""The jobs of the project: asked for when it is their turn, listened to, and ended when their time is over."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from contextlib import suppress
from typing import Any

from examples.job_manager.bus import Bus
from examples.job_manager.settings import Settings
from examples.job_manager.store import Row, Store
from job_item.job import new_task_id

SAID = ("_who", "_process", ".notif_add", "_failed", "_listen.callback", "_finish")
"""The subjects of a task; that of its end comes last, so that whoever finds somebody there finds us on all others."""
REPORTS = tuple(f"listen_{what}_information" for what in ("host", "cpu", "mem", "net", "disk", "traffic", "version"))
LOOK_S = 1.0
"""The longest pause between two looks: a job that no node took is offered again, one whose time is over ended."""
CONTROL_S = 6.0
"""The pause before the end of a job is asked for again. Redis lets no equal message through within 5 s."""
LATE_S = 10.0
"""How long a job is listened to after its end: queues of RabbitMQ have no order among each other."""


class Board:
    """Runs as long as the manager does; all that it has to remember stands in the store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._project = settings.project.subject
        self._events = settings.events()
        self._store = store
        self.bus = Bus(settings.connection, self._hear)
        self._news = asyncio.Event()
        self._sending = asyncio.Lock()
        self._over: deque[tuple[float, str]] = deque()
        """Jobs that have ended, and when they are to be listened to no more."""

    async def run(self) -> None:
        """Listen to all that has not ended, and look after it, until this is cancelled."""
        self.bus.on_up = self._news.set
        for subject in REPORTS:
            await self.bus.listen(subject)
        for job in self._store.rows("SELECT task_id FROM jobs WHERE ended_at IS NULL ORDER BY number"):
            await self._follow(job["task_id"])
        while True:
            self._news.clear()
            if self.bus.is_up:
                await self._send_waiting()
                await self._end_overdue()
            while self._over and self._over[0][0] < time.monotonic():
                await self._leave(self._over.popleft()[1])
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._news.wait()

    async def create(self, event: str, data: Any) -> str:
        """Take a job in; returns its task id. Raises `KeyError` for an event that is not registered."""
        self._events[event]
        task_id = new_task_id()
        self._store.change("INSERT INTO jobs(task_id, event, data) VALUES(?, ?, ?)", task_id, event, json.dumps(data))
        await self._follow(task_id)
        self._news.set()
        return task_id

    async def end(self, task_id: str, action: str) -> None:
        """End a job that no node has; ask for the end of any other, again and again until it has ended."""
        withdrawn = "UPDATE jobs SET status = ?, ended_at = now() WHERE task_id = ? AND status = 'waiting'"
        async with self._sending:
            if self._store.change(withdrawn, action, task_id):
                await self._leave(task_id)
        self._store.change("UPDATE jobs SET wish = ? WHERE task_id = ? AND ended_at IS NULL", action, task_id)
        self._news.set()

    async def ping(self, task_id: str) -> bool:
        """Ask whether a node runs a job; its answer comes as `_listen.callback`."""
        return await self.bus.publish(f"{task_id}_listen", b"hello")

    async def restart(self) -> bool:
        """Ask the nodes of the project to read their settings again."""
        return await self.bus.publish(f"{self._project}.restart", b"")

    async def _send_waiting(self) -> None:
        at_once = "SELECT count(*) AS n FROM jobs WHERE event = ? AND status IN ('sent', 'running')"
        for job in self._store.rows("SELECT * FROM jobs WHERE status = 'waiting' ORDER BY number"):
            limit = self._events.get(job["event"], (0, 0))[0]
            if not limit or self._store.rows(at_once, job["event"])[0]["n"] < limit:
                async with self._sending:
                    await self._send(job)

    async def _send(self, job: Row) -> None:
        """Send a job, unless it was ended meanwhile; it goes on waiting where no node takes it."""
        trigger = {"task_id": job["task_id"], "data": json.loads(job["data"]), "action": "execute"}
        if self._store.row("SELECT 1 FROM jobs WHERE task_id = ? AND status <> 'waiting'", job["task_id"]):
            return
        if await self.bus.publish(f"{self._project}.{job['event']}", json.dumps(trigger).encode()):
            # It may be running by now.
            self._store.change(
                "UPDATE jobs SET status = 'sent' WHERE task_id = ? AND status = 'waiting'", job["task_id"]
            )

    async def _end_overdue(self) -> None:
        """Ask for the end of those whose time is over, or whose end is wished for."""
        for event, (_, timeout_s) in self._events.items():
            late = "UPDATE jobs SET wish = 'timeout' WHERE status = 'running' AND wish IS NULL AND event = ?"
            if timeout_s:
                self._store.change(f"{late} AND began_at < now() - ?", event, timeout_s)
        asked = (
            "UPDATE jobs SET wished_at = now() WHERE wish IS NOT NULL AND ended_at IS NULL AND wished_at < now() - ?"
        )
        for job in self._store.rows(f"{asked} RETURNING task_id, wish", CONTROL_S):
            control = {"task_id": job["task_id"], "data": None, "action": job["wish"]}
            await self.bus.publish(f"{job['task_id']}_worker", json.dumps(control).encode())

    async def _follow(self, task_id: str) -> None:
        for what in SAID:
            await self.bus.listen(task_id + what)

    async def _leave(self, task_id: str) -> None:
        for what in SAID:
            await self.bus.leave(task_id + what)

    async def _hear(self, subject: str, body: bytes) -> None:
        """Write down what a node says, of a job or of its machine."""
        if subject in REPORTS:
            with suppress(ValueError, AttributeError):
                report = json.loads(body)
                self._store.report(subject, str(report.get("host_id") or report.get("hostId")), body.decode())
            return
        what = next(what for what in SAID if subject.endswith(what))
        task_id = subject.removesuffix(what)
        self._store.hear(task_id, what, body)
        if what == "_finish":
            self._over.append((time.monotonic() + LATE_S, task_id))
            self._news.set()
