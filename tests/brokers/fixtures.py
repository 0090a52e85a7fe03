"""Fixtures of broker servers: NATS and Redis for each test, RabbitMQ once for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.brokers.certificates import Certificates, make_certificates
from tests.brokers.rabbitmq import RabbitmqServer
from tests.brokers.servers import Access, NatsServer, RedisServer, Server
from tests.brokers.stages import STAGES, Stage

Kind = TypeVar("Kind", bound=Server)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of this session."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def rabbitmq_of_session(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[RabbitmqServer]:
    """The one rabbitmq-server; tests ask for `rabbitmq`."""
    server = RabbitmqServer(tmp_path_factory.mktemp("rabbitmq"), certificates)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def rabbitmq(rabbitmq_of_session: RabbitmqServer) -> RabbitmqServer:
    """A rabbitmq-server that runs, whatever another test did to it.

    A pool of keepers kills every child of its process that is not its own, and some tests have theirs in this process.
    """
    if not rabbitmq_of_session.is_running():
        rabbitmq_of_session.kill()
        rabbitmq_of_session.start()
    return rabbitmq_of_session


@pytest.fixture
def nats(tmp_path: Path, certificates: Certificates) -> Iterator[Callable[[Access], NatsServer]]:
    """Starts a nats-server of this test's own."""
    with starting(NatsServer, tmp_path, certificates) as start:
        yield start


@pytest.fixture
def redis(tmp_path: Path, certificates: Certificates) -> Iterator[Callable[[Access], RedisServer]]:
    """Starts a redis-server of this test's own."""
    with starting(RedisServer, tmp_path, certificates) as start:
        yield start


@contextmanager
def starting(kind: type[Kind], folder: Path, certificates: Certificates) -> Iterator[Callable[[Access], Kind]]:
    """Give who starts servers of a kind; they are stopped when the context ends."""
    with ExitStack() as stack:

        def start(access: Access = "plain") -> Kind:
            server = kind(folder / f"{kind.kind}-{access}", access, certificates)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A broker of each kind and way in; `indirect` picks some. Clients in this process give it time to let them in."""
    for module in ("nats.life", "redis.life", "redis.line", "rabbitmq.life"):
        monkeypatch.setattr(f"worker.brokers.{module}.CONNECT_S", 60.0)
    kind, _, access = request.param.partition("-")
    server: Server | None = None
    if kind == "rabbitmq":
        server = request.getfixturevalue("rabbitmq")
    elif kind != "embedded":
        server = request.getfixturevalue(kind)(access)
    return Stage(request.param, server)
