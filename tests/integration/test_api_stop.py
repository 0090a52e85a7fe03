"""The server stops: whoever is about to speak, or speaks, is answered; nobody else is waited for."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import eventually
from tests.desks import Served, serve
from worker.api.connection import COMING_S

ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
GRACE_S = 30.0


@contextmanager
def client_of(served: Served) -> Iterator[socket.socket]:
    """A client that the server has taken; others stay with the socket, which is not shared here."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        eventually(lambda: served.server._state.connections)
        yield client


def answer(client: socket.socket) -> bytes:
    """What comes until the end of a small answer."""
    said = b""
    while b'"counts"' not in said:
        piece = client.recv(65536)
        assert piece, said
        said += piece
    return said


def is_closed(served: Served) -> bool:
    try:
        socket.create_connection(("127.0.0.1", served.port)).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", ASK, id="one that has only connected"),
        pytest.param(ASK[:9], ASK[9:], id="one that is speaking"),
        pytest.param(ASK, ASK, id="one that was answered just now"),
        pytest.param(ASK + ASK[:9], ASK[9:], id="one that speaks again"),
    ],
)
def test_a_client_that_speaks_is_answered_once_more(
    before: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.api.connection.COMING_S", GRACE_S)
    with serve() as served, client_of(served) as client:
        client.sendall(before)
        if ASK in before:
            assert b"connection: close" not in answer(client)
        stopping = asyncio.run_coroutine_threadsafe(served.server.stop(GRACE_S), served._loop)
        eventually(lambda: is_closed(served))
        client.sendall(after)
        said = answer(client)
        assert said.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in said
        assert client.recv(1) == b""
        stopping.result(20)


@pytest.mark.parametrize("before", [b"", ASK], ids=["for the first time", "again"])
def test_a_client_that_has_spoken_while_the_server_got_no_processor_is_answered(before: bytes) -> None:
    with serve() as served, client_of(served) as client:
        client.sendall(before)
        if before:
            answer(client)

        def stall_and_stop() -> None:
            client.sendall(ASK)
            time.sleep(2 * COMING_S)
            for connection in list(served.server._state.connections):
                connection.shutdown()

        served.do(stall_and_stop)
        assert answer(client).startswith(b"HTTP/1.1 200")
        assert client.recv(1) == b""


@pytest.mark.parametrize("before", [b"", ASK])
def test_a_client_that_has_been_silent_is_not_waited_for(before: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.api.connection.COMING_S", 0.0)
    with serve() as served, client_of(served) as client:
        client.sendall(before)
        if before:
            answer(client)
        began_s = time.monotonic()
        served.wait(served.server.stop(GRACE_S))
        assert time.monotonic() - began_s < GRACE_S / 2
        assert client.recv(1) == b""
