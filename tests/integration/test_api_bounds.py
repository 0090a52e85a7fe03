"""What the local API refuses on a real socket: strangers, floods, noise."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.desks import Served, serve
from worker.api.guard import BODY_LIMIT_BYTES

BODY = b'{"app_id":"P","event":"hello","form_body":{}}'


@pytest.fixture
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def locked() -> Iterator[Served]:
    with serve(token="s3cret") as served:
        served.create("T1")
        yield served


def problem(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_a_page_of_another_site_cannot_create_a_job(served: Served) -> None:
    for headers, code in (
        ({"origin": "https://evil.example"}, "ERR-API-004"),
        ({"origin": "null"}, "ERR-API-004"),
        ({"sec-fetch-site": "cross-site"}, "ERR-API-004"),
        ({"host": "evil.example"}, "ERR-API-003"),
        ({"host": f"evil.example:{served.port}"}, "ERR-API-003"),
    ):
        reply = served.ask("POST", "/job/create", BODY, headers, raw=True)
        assert (reply.status, reply.json["code"]) == (403, code)
        assert reply.json["status"] == "error"
    preflight = served.ask("OPTIONS", "/job/create", headers={"origin": "https://evil.example"})
    assert preflight.status == 403
    assert not served.desk.requests
    own = served.ask("POST", "/job/create", BODY, {"origin": f"http://127.0.0.1:{served.port}"}, raw=True)
    assert own.status == 200


def test_a_request_without_a_host_is_refused(served: Served) -> None:
    status, said = problem(served.exchange(b"GET / HTTP/1.0\r\n\r\n"))
    assert (status, said["code"]) == (403, "ERR-API-003")


def test_with_a_token_only_health_is_open(locked: Served) -> None:
    for path in ("/", "/jobs", "/jobs/T1", "/jobs/T1/log", "/execs", "/docs", "/openapi.json", "/nothing"):
        reply = locked.ask("GET", path)
        assert (reply.status, reply.json["code"]) == (401, "ERR-API-005")
        assert reply.headers["www-authenticate"] == "Bearer"
    assert locked.ask("GET", "/healthz").status == 200
    assert locked.ask("GET", "/readyz").status == 200
    assert locked.ask("GET", "/jobs", headers={"authorization": "Bearer s3cret"}).status == 200


def test_a_token_in_the_path_keeps_urls_plain(locked: Served) -> None:
    prefix = "/t/s3cret"
    assert locked.ask("POST", f"{prefix}/msg/notif/T1", {"msg": "x"}).status == 200
    created = locked.ask("POST", f"{prefix}/job/create", BODY, raw=True)
    assert created.status == 200
    refused = locked.ask("POST", f"{prefix}/job/create", b"[]", raw=True)
    assert (refused.status, refused.json["status"]) == (400, "error")
    assert locked.ask("GET", f"{prefix}/docs").status == 200
    assert locked.ask("GET", f"{prefix}/docs/start.js").status == 200
    assert locked.ask("GET", f"{prefix}/openapi.json").json["servers"] == [{"url": prefix}]
    assert locked.ask("GET", "/t/s3cre/jobs").status == 401


def test_a_body_that_is_too_large_is_refused(served: Served) -> None:
    reply = served.ask("POST", "/job/create", b"x" * (BODY_LIMIT_BYTES + 1), raw=True)
    assert (reply.status, reply.json["code"]) == (413, "ERR-API-006")
    huge = served.ask("POST", "/msg/notif/T1", b"x" * (8 << 20), raw=True)
    assert huge.status == 413
    elsewhere = served.ask("POST", "/jobs/T1/cancel", b"x" * (2 << 20), raw=True)
    assert elsewhere.status == 413


def test_a_body_that_says_it_is_endless_is_refused_before_it_comes(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as client:
        client.sendall(b"POST /job/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_body_in_chunks_is_bounded_too(served: Served) -> None:
    connection = served.connect()
    chunks = (b"x" * 65536 for _ in range(64))
    connection.request("POST", "/job/create", chunks, encode_chunked=True, headers={"transfer-encoding": "chunked"})
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, "ERR-API-006")
    connection.close()
    small = served.connect()
    pieces = iter([BODY[:10], BODY[10:]])
    small.request("POST", "/job/create", pieces, encode_chunked=True, headers={"transfer-encoding": "chunked"})
    assert small.getresponse().status == 200
    small.close()


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.api.connection.REQUEST_TIMEOUT_S", 0.1)
    with serve() as served:

        def begin(request: bytes) -> socket.socket:
            client = socket.create_connection(("127.0.0.1", served.port), timeout=60)
            client.sendall(request)
            return client

        for request in (
            b"POST /job/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{",
            b"GET / HT",
            b"",
        ):
            with served.do(begin, request) as client:  # it has spoken before the server can have lost its patience
                status, said = problem(client.makefile("rb").read())
            assert (status, said["code"]) == (408, "ERR-API-013")


def test_a_head_that_does_not_end_is_refused(served: Served) -> None:
    status, said = problem(served.exchange(b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000))
    assert (status, said["code"]) == (431, "ERR-API-014")


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32,
        b"NONSENSE\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /job/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_noise_is_answered_as_json(served: Served, noise: bytes) -> None:
    status, said = problem(served.exchange(noise))
    assert (status, said["code"]) == (400, "ERR-API-015")


def test_an_upgrade_is_not_followed(served: Served) -> None:
    reply = served.ask("GET", "/healthz", headers={"connection": "upgrade", "upgrade": "websocket"})
    assert reply.status == 200


def test_more_connections_than_allowed_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.api.connection.CONNECTIONS", 2)
    with serve() as served:
        kept = [served.connect() for _ in range(2)]
        for connection in kept:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        status, said = problem(served.exchange(b""))
        assert (status, said["code"]) == (503, "ERR-API-012")
        kept[0].request("GET", "/healthz")
        assert kept[0].getresponse().status == 200
        for connection in kept:
            connection.close()


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(served: Served) -> None:
    for part in (b"GET", b"POST /job/create HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", served.port)) as client:
            client.sendall(part)
    assert served.ask("GET", "/healthz").status == 200
    assert not served.desk.requests


def test_requests_in_a_row_share_a_connection(served: Served) -> None:
    connection = served.connect()
    for _ in range(3):
        connection.request("POST", "/job/create", BODY)
        response = connection.getresponse()
        assert response.status == 200
        assert isinstance(response, http.client.HTTPResponse)
        response.read()
        connection.request("POST", "/job/create", b"bad")
        assert connection.getresponse().read()
    connection.close()
    assert len(served.desk.requests) == 3
    first = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = first + b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert served.exchange(both).count(b"HTTP/1.1 200") == 2
