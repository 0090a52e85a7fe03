"""A stand-in for the Go worker: acts as protocol job-item.md, sections 3 and 4, say, no better.

It takes every trigger that it gets at once, without a limit, runs it as `bash -c`, and says what it has to.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.brokers.manager import Manager
from worker.brokers.seam import Delivery

FINISH_AFTER_S = 3.0


class GoWorker(Manager):
    """Serves one event with one command, in which `{{task_id}}` stands for the id."""

    def serve(self, event: str, cmd: str) -> None:
        """Subscribe it."""
        self._cmd = cmd
        self._running: set[asyncio.Task[None]] = set()
        self.ran: list[str] = []
        self.run(self._subscribe(f"{self.project}.{event}"))

    async def _subscribe(self, subject: str) -> None:
        await self.connection.subscribe(subject, self.project, self._take, prefetch=100)

    async def _take(self, delivery: Delivery) -> None:
        await delivery.accept()  # as with no_ack: whatever becomes of it
        task = asyncio.get_running_loop().create_task(self._run(json.loads(delivery.body)))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, trigger: dict[str, Any]) -> None:
        task_id = trigger["task_id"]
        self.ran.append(task_id)
        await self.connection.publish(f"{task_id}_who", b"host-of-go")
        ears = [
            await self.connection.subscribe(f"{task_id}_{what}", self.project, self._ignore)
            for what in ("worker", "listen")
        ]
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", self._cmd.replace("{{task_id}}", task_id), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        stdout, stderr = await process.communicate()
        if stdout:
            await self.connection.publish(f"{task_id}_process", stdout[:1024])
        if stderr:
            await self.connection.publish(f"{task_id}_failed", stderr[:1024])
        for ear in ears:
            await ear.cancel()
        await asyncio.sleep(FINISH_AFTER_S)
        await self.connection.publish(f"{task_id}_finish", b"error" if stderr else b"finish")

    def close(self) -> None:
        """Leave, whatever still waits to say its status."""
        self.run(self._let_go())
        super().close()

    async def _let_go(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _ignore(self, delivery: Delivery) -> None:
        await delivery.accept()


@contextmanager
def go_worker(settings: dict[str, Any], event: str, cmd: str) -> Iterator[GoWorker]:
    """One that serves, for as long as the context lasts."""
    worker = GoWorker(settings)
    try:
        worker.connect()
        worker.serve(event, cmd)
        yield worker
    finally:
        worker.close()
