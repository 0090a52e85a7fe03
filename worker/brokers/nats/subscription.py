"""Messages of one subject of NATS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.brokers.belt import Belt
from worker.brokers.nats.client import Msg, Subscribed

if TYPE_CHECKING:
    from worker.brokers.nats.life import NatsLife


class NatsSubscription:
    """See `Subscription`."""

    def __init__(self, life: NatsLife, subscribed: Subscribed, belt: Belt[Msg]) -> None:
        self._life = life
        self._subscribed = subscribed
        self._belt = belt

    async def cancel(self) -> None:
        """See `Subscription`."""
        await self._life.end_subscription(self._subscribed, self._belt)
