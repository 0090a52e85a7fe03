"""Redis: connects to the server of the settings."""

from __future__ import annotations

from job_item.connections import RedisConnection
from worker.brokers.redis.life import RedisLife


class RedisBroker:
    """Connects to the server of the settings."""

    name = "redis"

    def __init__(self, settings: RedisConnection) -> None:
        self._settings = settings

    async def connect(self) -> RedisLife:
        """See `Broker`."""
        life = RedisLife(self._settings)
        await life.open(self._settings)
        return life
