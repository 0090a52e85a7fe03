"""The API's socket: which port it gets, and what is refused."""

from __future__ import annotations

import socket

import pytest

from job_item.errors import Unavailable
from job_item.nodespec import Api
from supervisor.listen import bind, url_of
from tests.conftest import free_port
from tests.ports import default_port_taken


def test_a_port_that_was_set_is_the_port(port: int) -> None:
    with bind(Api(port=port)) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{port}"


def test_port_0_is_any_free_port() -> None:
    with bind(Api(port=0)) as one, bind(Api(port=0)) as other:
        assert url_of(one) != url_of(other)


def test_the_default_port_gives_way_where_it_is_taken() -> None:
    with default_port_taken(), bind(Api()) as listener:
        assert not url_of(listener).endswith(":8080")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_port_that_was_set_and_is_taken_is_refused(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port}") as caught:
            bind(Api(host=host, port=port))
    assert caught.value.code == "ERR-SUP-008"


def test_a_default_port_that_was_set_does_not_give_way() -> None:
    with default_port_taken(), pytest.raises(Unavailable, match="Port 8080"):
        bind(Api(port=8080))


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(Unavailable, match="cannot listen on") as caught:
        bind(Api(host="192.0.2.1", port=free_port()))
    assert caught.value.code == "ERR-SUP-009"


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "Name or service not known"), PermissionError(13, "Permission denied")]
)
def test_what_the_system_refuses_is_refused_in_its_words(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(Unavailable, match=str(error.strerror)):
        bind(Api(host="example.invalid", port=80))


def test_the_socket_says_tcp_so_that_asyncio_sets_nodelay_and_no_child_inherits_it() -> None:
    with bind(Api(port=0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP
        assert not listener.get_inheritable()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        (("0.0.0.0", 80), "http://127.0.0.1:80"),
        (("192.0.2.7", 81), "http://192.0.2.7:81"),
        (("::", 82, 0, 0), "http://[::1]:82"),
        (("2001:db8::1", 83, 0, 0), "http://[2001:db8::1]:83"),
    ],
)
def test_the_url_is_one_that_this_machine_can_reach(name: tuple[object, ...], url: str) -> None:
    class Listener(socket.socket):
        def getsockname(self) -> tuple[object, ...]:
            return name

    with Listener() as listener:
        assert url_of(listener) == url
