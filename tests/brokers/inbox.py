"""Takes messages of a subscription and waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worker.brokers.seam import Connection, Delivery


class Inbox:
    """A `take` that accepts all, and remembers the bodies; `gate` holds it up while it is clear."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._came = asyncio.Condition()

    async def __call__(self, delivery: Delivery) -> None:
        await self.gate.wait()
        await delivery.accept()
        async with self._came:
            self.bodies.append(delivery.body)
            self._came.notify_all()

    async def until(self, is_enough: Callable[[list[bytes]], bool] | int, within_s: float = 60.0) -> list[bytes]:
        """Wait for so many messages, or until what came is enough."""

        def enough() -> bool:
            return len(self.bodies) >= is_enough if isinstance(is_enough, int) else is_enough(self.bodies)

        async with asyncio.timeout(within_s):
            async with self._came:
                await self._came.wait_for(enough)
        return list(self.bodies)


async def lost(connection: Connection) -> str:
    """The reason of a loss that is to come."""
    return await asyncio.wait_for(asyncio.shield(connection.lost), 30)
