"""RabbitMQ: connects to the server of the settings."""

from __future__ import annotations

import logging

from job_item.connections import RabbitmqConnection
from worker.brokers.rabbitmq.life import RabbitmqLife


class RabbitmqBroker:
    """Connects to the server of the settings."""

    name = "rabbitmq"
    is_keeper = True
    is_dear = True

    def __init__(self, settings: RabbitmqConnection, project: str) -> None:
        self._settings = settings
        self._project = project
        # It logs each failure with a trace before it raises it; what matters is told by `lost` and by exceptions.
        logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)

    async def connect(self) -> RabbitmqLife:
        """See `Broker`."""
        life = RabbitmqLife(self._settings, self._project)
        await life.open()
        return life
