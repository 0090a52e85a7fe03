"""What is asked of the whole node over the broker: to read its settings again, and to stop.

Whoever may publish there may ask for it; that is how the protocol is (job-item.md, sections 5.4, 6.4 and 9.2, R10).
Permissions of the broker are the way to say who may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from job_item.errors import NodeError
from job_item.log import get
from job_item.policy import Window
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session
from worker.brokers.wish import Wish

RESTARTS = Window(limit=1, window_s=10.0)
"""How often messages may ask for a reload; one that comes earlier waits, as what it speaks of may be newer."""


class Summons:
    """Subscribes `<project>.restart` and `<identity>.shutdown`, until it is drained."""

    def __init__(
        self, session: Session, project: str, identity: str, reload: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        self._session = session
        self._project = project
        self._identity = identity
        self._reload = reload
        self._stop = stop
        self._restarts = RESTARTS
        self._deferred: asyncio.TimerHandle | None = None
        self._wishes: list[Wish] = []
        self._loop = asyncio.get_running_loop()
        self._logger = get("worker")

    def start(self) -> None:
        """Listen from now on."""
        subscribe = self._session.subscribe
        self._wishes = [
            subscribe(subjects.restart(self._project), None, self._take_restart),
            subscribe(subjects.shutdown(self._identity), None, self._take_shutdown),
        ]

    async def drain(self) -> None:
        """Listen no longer."""
        if self._deferred is not None:
            self._deferred.cancel()
        await asyncio.gather(*(wish.cancel() for wish in self._wishes))

    async def _take_restart(self, delivery: Delivery) -> None:
        with suppress(NodeError):
            await delivery.accept()
        wait_s = self._restarts.wait_s(self._loop.time())
        if not wait_s:
            self._restart_now()
        elif self._deferred is None:
            self._logger.info("restart.deferred", wait_s=round(wait_s, 3))
            self._deferred = self._loop.call_later(wait_s, self._restart_now)

    def _restart_now(self) -> None:
        self._deferred = None
        self._restarts = self._restarts.add(self._loop.time())
        self._logger.info("restart.received")
        self._reload()

    async def _take_shutdown(self, delivery: Delivery) -> None:
        with suppress(NodeError):
            await delivery.accept()
        self._logger.warning("shutdown.received")
        self._stop()
