"""Messages of one subject of NATS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.brokers.belt import Belt
from worker.brokers.nats.client import Msg

if TYPE_CHECKING:
    from worker.brokers.nats.life import NatsLife


class NatsSubscription:
    """See `Subscription`."""

    def __init__(self, life: NatsLife, number: int, belt: Belt[Msg]) -> None:
        self._life = life
        self._number = number
        self._belt = belt

    async def stand(self, *, is_behind: bool) -> None:
        """See `Subscription`: nothing is kept."""

    def leave(self) -> None:
        """See `Subscription`."""
        self._life.leave_subscription(self._number, self._belt)

    async def cancel(self) -> None:
        """See `Subscription`."""
        await self._life.end_subscription(self._number, self._belt)
