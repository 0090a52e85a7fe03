"""Hears the message by which all nodes of a project are asked to read their settings again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from job_item.errors import NodeError
from job_item.log import get
from job_item.policy import Window
from worker import subjects
from worker.brokers.seam import Delivery
from worker.brokers.session import Session, Wish

RESTARTS = Window(limit=1, window_s=10.0)
"""How often a message may ask for a reload."""


class RestartSource:
    """Calls `reload` when it is asked for, and not too often."""

    def __init__(self, session: Session, project: str, reload: Callable[[], None]) -> None:
        self._session = session
        self._project = project
        self._reload = reload
        self._wish: Wish | None = None
        self._restarts = RESTARTS

    def start(self) -> None:
        """Listen from now on."""
        self._wish = self._session.subscribe(subjects.restart(self._project), None, self.take)

    async def drain(self) -> None:
        """Listen no more."""
        if self._wish is not None:
            await self._wish.cancel()

    async def take(self, delivery: Delivery) -> None:
        """Take one message."""
        with suppress(NodeError):
            await delivery.accept()
        now_s = asyncio.get_running_loop().time()
        if self._restarts.wait_s(now_s):
            get("worker").warning("restart.ignored", reason="another one came a moment ago")
            return
        self._restarts = self._restarts.add(now_s)
        get("worker").info("restart.received")
        self._reload()
