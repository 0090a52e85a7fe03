"""NATS: connects to one of the servers of the settings."""

from __future__ import annotations

from job_item.connections import NatsConnection
from job_item.errors import NodeError
from worker.brokers.failure import all_failures
from worker.brokers.nats.life import NatsLife


class NatsBroker:
    """Connects to one of the servers of the settings, each time beginning with the next one."""

    name = "nats"
    is_keeper = False
    is_dear = False

    def __init__(self, settings: NatsConnection, project: str) -> None:
        self._settings = settings
        self._project = project
        self._next = 0

    async def connect(self) -> NatsLife:
        """See `Broker`."""
        failures: list[NodeError] = []
        addresses = self._settings.addresses
        for _ in addresses:
            address = addresses[self._next % len(addresses)]
            self._next += 1
            life = NatsLife(self._settings, address, self._project)
            try:
                await life.open(self._settings, address)
            except NodeError as failure:
                failures.append(failure)
            else:
                return life
        raise all_failures(failures)
