"""Ports that are taken, for tests of who gives way."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def default_port_taken() -> Iterator[None]:
    """Somebody listens on the default port of the API: we, unless another program does already."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        yield
