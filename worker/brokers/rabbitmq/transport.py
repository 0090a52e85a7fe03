"""The socket of a connection to RabbitMQ, and what the library wants to know to open it."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiormq.connection import TransportFactory
from yarl import URL

from job_item.connections import RabbitmqConnection

HEARTBEAT_S = 10
"""As in the Go worker."""


class Transport(TransportFactory):
    """Opens the socket, and can close it at once."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Called by the library."""
        reader, self._writer = await asyncio.open_connection(url.host, url.port, ssl=self._context)
        return reader, self._writer

    def abort(self) -> None:
        """Close it without waiting for a link that takes nothing."""
        if self._writer is not None:
            self._writer.transport.abort()


def url_of(settings: RabbitmqConnection) -> URL:
    """What the library wants to know, credentials included: this is shown nowhere."""
    address = settings.addresses[0]
    return URL.build(
        scheme="amqp",
        host=address.host,
        port=address.port,
        user=settings.user,
        password=settings.password.get_secret_value(),
        path=f"/{settings.virtual_host}",
        query={"heartbeat": str(HEARTBEAT_S), "name": settings.name or "job_item"},
    )
