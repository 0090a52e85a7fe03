"""Redis: connects to the server of the settings."""

from __future__ import annotations

from job_item.connections import RedisConnection
from worker.brokers.redis.life import RedisLife


class RedisBroker:
    """Connects to the server of the settings."""

    name = "redis"
    is_keeper = False
    is_dear = False

    def __init__(self, settings: RedisConnection, project: str) -> None:
        self._settings = settings
        self._project = project

    async def connect(self) -> RedisLife:
        """See `Broker`."""
        life = RedisLife(self._settings, self._project)
        await life.open(self._settings)
        return life
