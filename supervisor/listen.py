"""The API's listening socket: bound once, by the parent, so that no successor of the job child has to."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from job_item.errors import Unavailable

if TYPE_CHECKING:
    from job_item.nodespec import Api

_BACKLOG = 1024


def bind(api: Api, beside: Sequence[socket.socket] = ()) -> socket.socket:
    """Bind the socket that `api` asks for, listening.

    The default port, where it is taken, gives way to any free one; a port that was set does not. `beside` are those
    that this node listens on so far: the new one may have the same port on another address. Raises Unavailable.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            api.host, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        try:
            return _listen(family, address, beside)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or api.port == 0:
                raise
            if api.port_was_set:
                raise Unavailable(
                    "ERR-SUP-008", f"Port {api.port} of {api.host} is taken by another program."
                ) from error
            return _listen(family, (address[0], 0, *address[2:]), ())
    except OSError as error:
        raise Unavailable(
            "ERR-SUP-009", f"The API cannot listen on {api.host} port {api.port}: {error.strerror}."
        ) from error


def take_up(api: Api, left: socket.socket | None) -> socket.socket:
    """Go on with the socket that the version before has left, if it is where `api` asks for; else bind. Raises as
    `bind`.
    """
    if left is None:
        return bind(api)
    host, port = left.getsockname()[:2]
    if api.host in (host, "localhost") and (port == api.port or not (api.port and api.port_was_set)):
        return left
    left.close()
    return bind(api)


def _listen(family: int, address: tuple[object, ...], beside: Sequence[socket.socket]) -> socket.socket:
    # With any other protocol number, 0 included, asyncio sets no TCP_NODELAY and each answer may wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _shared(listener, beside):
            listener.bind(address)
            listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _shared(listener: socket.socket, beside: Sequence[socket.socket]) -> Iterator[None]:
    """Let these have a port in common, and nobody else for longer than the binding takes."""
    if not beside or not hasattr(socket, "SO_REUSEPORT"):
        yield
        return
    all_of_us = (listener, *beside)
    try:
        for one in all_of_us:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield
    finally:
        for one in all_of_us:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def url_of(listener: socket.socket) -> str:
    """Where processes of this machine reach the socket, `http://HOST:PORT`."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
