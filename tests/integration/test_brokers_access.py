"""Getting in: credentials, certificates, and what is said of them when they are wrong."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from job_item.errors import NodeError, Unavailable
from tests.brokers.certificates import Certificates
from tests.brokers.servers import PASSWORD, TOKEN, Access, NatsServer, RedisServer
from tests.brokers.stages import SERVED, TLS, Stage
from tests.conftest import eventually, free_port

WRONG = "Wr0ng/secret@of:tests"

served = pytest.mark.parametrize("stage", SERVED, indirect=True)
over_tls = pytest.mark.parametrize("stage", TLS, indirect=True)


def is_connected(port: int) -> bool:
    """Whether this process still holds a connection to a port."""
    held = psutil.Process().net_connections("tcp")
    return any(connection.raddr and connection.raddr.port == port for connection in held)


def refusal(stage: Stage, **change: Any) -> NodeError:
    """How a connection with changed settings fails."""

    port = stage.settings(**change)["port"]

    async def scene() -> NodeError:
        with pytest.raises(NodeError) as refused:
            await stage.broker(**change).connect()
        if stage.name == "redis-tls":
            # The library closes a refused connection in the background, with the farewell of TLS; let it, as this
            # loop ends now and the socket would be found open.
            await asyncio.to_thread(eventually, lambda: not is_connected(port), what="the connection is closed")
        return refused.value

    return asyncio.run(scene())


def works(stage: Stage, **change: Any) -> None:
    """A connection with changed settings works."""

    async def scene() -> None:
        here = await stage.broker(**change).connect()
        await here.probe(30)
        await here.close()

    asyncio.run(scene())


def everything(error: BaseException | None) -> str:
    """All that a trace of this error would show of it and of its causes."""
    said = []
    while error is not None:
        said += [str(error), repr(error)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(said)


@pytest.mark.parametrize(
    ("stage", "change"),
    [
        ("nats-password", {"password": WRONG}),
        ("nats-password", {"user": "stranger"}),
        ("nats-password", {"user": None, "password": None}),
        ("nats-token", {"token": WRONG}),
        ("redis-password", {"password": WRONG}),
        ("redis-password", {"password": None}),
        ("redis-password", {"password": None, "db": None}),
        ("redis-tls", {"user": "stranger"}),
        ("redis-tls", {"user": None, "password": None}),
        ("rabbitmq-password", {"password": WRONG}),
        ("rabbitmq-password", {"user": "stranger"}),
        ("rabbitmq-password", {"virtual_host": "nowhere"}),
        ("rabbitmq-tls", {"password": WRONG}),
    ],
    indirect=["stage"],
)
def test_wrong_credentials_are_refused_and_nobody_reads_them(
    stage: Stage, change: dict[str, Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    error = refusal(stage, **change)
    assert error.code == "ERR-BRK-005", error
    assert not isinstance(error, Unavailable)
    assert f"127.0.0.1:{stage.settings()['port']}" in error.message
    said = everything(error) + caplog.text + "".join(capfd.readouterr())
    for secret in (WRONG, PASSWORD, PASSWORD.replace(" ", "_"), TOKEN):
        assert secret not in said


@served
def test_a_server_that_is_away_is_said_by_name(stage: Stage) -> None:
    port = free_port()
    error = refusal(stage, port=port)
    assert isinstance(error, Unavailable)
    assert (error.code, error.message) == ("ERR-BRK-001", f"127.0.0.1:{port}: connection refused")


@served
def test_a_server_that_says_nothing_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in ("nats", "redis", "rabbitmq"):
        monkeypatch.setattr(f"worker.brokers.{adapter}.life.CONNECT_S", 1.0)
    with stage.proxy() as proxy:
        proxy.change("stalled")
        error = refusal(stage, port=proxy.port)
    assert (error.code, error.message) == ("ERR-BRK-001", f"127.0.0.1:{proxy.port}: no answer in time")


@over_tls
def test_a_server_of_another_authority_is_refused(stage: Stage, certificates: Certificates) -> None:
    error = refusal(stage, ca_file=str(certificates.other_ca.crt))
    assert isinstance(error, Unavailable)
    assert error.code == "ERR-BRK-007"
    assert "the server's certificate is not accepted: " in error.message


@over_tls
def test_a_missing_client_certificate_is_said(stage: Stage) -> None:
    error = refusal(stage, cert_file=None, key_file=None)
    assert error.code == "ERR-BRK-007", error
    assert "client certificate" in error.message


@over_tls
def test_a_client_certificate_of_another_authority_is_refused(stage: Stage, certificates: Certificates) -> None:
    strange = certificates.other_client
    error = refusal(stage, cert_file=str(strange.crt), key_file=str(strange.key))
    assert error.code in ("ERR-BRK-007", "ERR-BRK-001"), error  # some servers just hang up


@over_tls
def test_a_server_under_another_name_is_refused(stage: Stage) -> None:
    with stage.proxy(host="127.0.0.2") as proxy:
        error = refusal(stage, host="127.0.0.2", port=proxy.port)
    assert error.code == "ERR-BRK-007"
    assert "127.0.0.2" in error.message
    assert "certificate is not accepted" in error.message
    with stage.proxy() as proxy:
        works(stage, host="localhost", port=proxy.port)


@pytest.mark.parametrize("kind", ["nats", "redis"])
def test_a_server_whose_certificate_has_expired_is_refused(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NatsServer if kind == "nats" else RedisServer, "server_pair", "expired")
    stage = Stage(f"{kind}-tls", request.getfixturevalue(kind)("tls"))
    error = refusal(stage)
    assert error.code == "ERR-BRK-007"
    assert "certificate has expired" in error.message


@pytest.mark.parametrize("stage", ["rabbitmq-password"], indirect=True)
def test_an_expired_certificate_in_front_of_rabbitmq_is_refused(stage: Stage, certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.expired.crt, certificates.expired.key)
    with stage.proxy(tls=context) as proxy:
        error = refusal(stage, port=proxy.port, secure=True, ca_file=str(certificates.ca.crt))
    assert error.code == "ERR-BRK-007"
    assert "certificate has expired" in error.message


@pytest.mark.parametrize("stage", TLS, indirect=True)
def test_the_certificate_of_the_server_itself_can_be_the_trust_anchor(stage: Stage, certificates: Certificates) -> None:
    works(stage, ca_file=str(certificates.server.crt))


@pytest.mark.parametrize("stage", ["nats-password", "redis-password", "rabbitmq-password"], indirect=True)
def test_a_secure_connection_shows_no_credentials_to_a_server_without_tls(
    stage: Stage, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    for adapter in ("nats", "redis", "rabbitmq"):
        monkeypatch.setattr(f"worker.brokers.{adapter}.life.CONNECT_S", 2.0)
    with stage.proxy() as proxy:
        error = refusal(stage, port=proxy.port, secure=True, ca_file=str(certificates.ca.crt))
        sent = b"".join(proxy.passed)
    assert isinstance(error, Unavailable)
    assert PASSWORD.encode() not in sent
    assert b"CONNECT" not in sent
    assert b"AUTH" not in sent
    assert "TLS" in error.message or error.code == "ERR-BRK-001"


@pytest.mark.parametrize("stage", ["nats-tls", "redis-tls", "rabbitmq-tls"], indirect=True)
def test_a_plain_connection_to_a_server_with_tls_is_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for adapter in ("nats", "redis", "rabbitmq"):
        monkeypatch.setattr(f"worker.brokers.{adapter}.life.CONNECT_S", 2.0)
    error = refusal(stage, secure=None, ca_file=None, cert_file=None, key_file=None)
    assert isinstance(error, Unavailable)


def test_nats_goes_to_the_next_server_when_one_is_away(nats: Callable[[Access], NatsServer]) -> None:
    stage = Stage("nats-password", nats("password"))
    away, here = free_port(), stage.settings()["port"]
    works(stage, port=away, servers=[f"nats://127.0.0.1:{here}"])
    works(stage, host=None, port=None, servers=[f"127.0.0.1:{away}", f"127.0.0.1:{here}"])
    error = refusal(stage, port=away, servers=[f"127.0.0.1:{here}"], password=WRONG)
    assert error.code == "ERR-BRK-005"
    assert str(away) in error.message


def test_nats_comes_back_on_the_next_server_when_its_own_dies(
    nats: Callable[[Access], NatsServer], redis: Callable[[Access], RedisServer]
) -> None:
    first, second = Stage("nats-plain", nats("plain")), Stage("nats-token", nats("token"))

    async def scene() -> None:
        servers = [f"127.0.0.1:{second.settings()['port']}"]
        broker = first.broker(servers=servers, auth_type="token", token=TOKEN)
        here = await broker.connect()
        first.shuts_down()
        await asyncio.wait_for(asyncio.shield(here.lost), 15)
        await here.close()
        there = await broker.connect()
        await there.probe(30)
        await there.close()

    asyncio.run(scene())
