"""Stages for the conformance suite: a broker of each kind, and each way in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import TypeAdapter

from job_item.connections import NatsConnection, RabbitmqConnection, RedisConnection
from tests.brokers.rabbitmq import RabbitmqServer, forget_jobs
from tests.brokers.servers import LEASE_S, Server
from tests.proxy import Proxy
from worker.brokers.choose import choose_broker
from worker.brokers.embedded import EmbeddedBroker, Hub
from worker.brokers.seam import Broker
from worker.brokers.stored import Store

ANY: TypeAdapter[Any] = TypeAdapter(NatsConnection | RabbitmqConnection | RedisConnection)

STAGES = (
    "nats-plain",
    "nats-password",
    "nats-token",
    "nats-tls",
    "redis-plain",
    "redis-password",
    "redis-tls",
    "rabbitmq-password",
    "rabbitmq-tls",
    "embedded",
)
DURABLE = ("embedded-durable", "nats-durable", "redis-durable", "rabbitmq-durable")
"""Those whose queues keep jobs until their result is known."""
SERVED = STAGES[:-1]
"""Those with a server process."""
LOCKED = tuple(stage for stage in SERVED if not stage.endswith("plain"))
"""Those that want credentials or certificates."""
TLS = tuple(stage for stage in SERVED if stage.endswith("tls"))


class Stage:
    """One kind of broker, ready to be connected to."""

    def __init__(self, name: str, server: Server | None) -> None:
        self.name = name
        self.kind = name.partition("-")[0]
        self.hub = Hub(store=Store(LEASE_S) if name.endswith("durable") else None)
        self._server = server
        self._settings: dict[str, Any] = {}
        if isinstance(server, RabbitmqServer):
            self._settings = server.client_settings(is_tls=name.endswith("tls"))
            if name.endswith("durable"):
                forget_jobs(self._settings)
                self._settings |= {"delivery": "durable", "lease": LEASE_S}
        elif server is not None:
            self._settings = server.settings()

    @property
    def server(self) -> Server:
        """The process behind it."""
        assert self._server is not None
        return self._server

    def settings(self, **change: Any) -> dict[str, Any]:
        """The `broker_connection`; None takes a setting away."""
        return {name: value for name, value in (self._settings | change).items() if value is not None}

    def broker(self, **change: Any) -> Broker:
        """A broker as the settings, changed in places, name it."""
        if self._server is None:
            if self.hub.store is not None:
                self.hub.store.lease_s = change.get("lease", LEASE_S)
            return EmbeddedBroker(self.hub)
        return choose_broker(ANY.validate_python(self.settings(**change)), "P")

    @contextmanager
    def proxy(self, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
        """A proxy in front of the server; connect with `broker(port=proxy.port)`."""
        with Proxy(self._settings["port"], host=host, tls=tls) as proxy:
            yield proxy

    def shuts_down(self) -> None:
        """The server dies, as in a crash."""
        if self._server is None:
            self.hub.stop()
        else:
            self.server.kill()

    def comes_back(self) -> None:
        """The server is started again."""
        if self._server is None:
            self.hub.is_open = True
        else:
            self.server.start()
