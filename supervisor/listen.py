"""The API's listening socket: bound once, by the parent, so that no successor of the job child has to."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from job_item.errors import Unavailable

if TYPE_CHECKING:
    from job_item.settings import Api

_BACKLOG = 1024


def bind(api: Api) -> socket.socket:
    """Bind the socket that `api` asks for, listening.

    The default port, where it is taken, gives way to any free one; a port that was set does not. Raises Unavailable.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            api.host, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        try:
            return _listen(family, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or api.port == 0:
                raise
            if api.port_was_set:
                raise Unavailable(
                    "ERR-SUP-008", f"Port {api.port} of {api.host} is taken by another program."
                ) from error
            return _listen(family, (address[0], 0, *address[2:]))
    except OSError as error:
        raise Unavailable(
            "ERR-SUP-009", f"The API cannot listen on {api.host} port {api.port}: {error.strerror}."
        ) from error


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    # With any other protocol number, 0 included, asyncio sets no TCP_NODELAY and each answer may wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Where processes of this machine reach the socket, `http://HOST:PORT`."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
